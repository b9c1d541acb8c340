"""What a person sees: a command's output as a terminal emulator (pyte) reads it."""
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pyte

from conftest import ASYNCMON

# Of the emulator's lines, so many are kept: a command's whole output.
LINES = 1000


class Screen:
    """The lines of a terminal, and for each character of a line its colour."""

    def __init__(self, columns, data):
        self.columns = columns
        self.data = data
        screen = pyte.Screen(columns, LINES)
        pyte.ByteStream(screen).feed(data)
        cells = [[screen.buffer[y][x] for x in range(columns)]
                 for y in range(screen.cursor.y + 1)]
        # The second half of a wide character has no text of its own.
        self.lines = ["".join(c.data for c in row).rstrip() for row in cells]
        self.cells = cells

    def text(self):
        return "\n".join(self.lines)

    def line(self, part):
        found = [line for line in self.lines if part in line]
        assert found, "no line has %r:\n%s" % (part, self.text())
        return found[0]

    def colours(self, part):
        """The colours of the first place where that text stands."""
        for line, cells in zip(self.lines, self.cells):
            at = line.find(part)
            if at >= 0:
                # Narrow characters only, before it: columns are characters.
                return {c.fg for c in cells[at:at + len(part)]}
        raise AssertionError("no line has %r:\n%s" % (part, self.text()))


def on_a_terminal(columns, *args, rows=40, env=None, program=ASYNCMON, size=None):
    """Runs it in a terminal of that size; env: variables, None takes one out. The
    kernel says `size`, where that is given, in place of columns and rows."""
    pid, fd = pty.fork()
    if pid == 0:
        for name in ("COLUMNS", "LINES", "NO_COLOR", "LESS", "LC_CTYPE", "LANG"):
            os.environ.pop(name, None)
        os.environ.update(PAGER="cat", TERM="xterm", LC_ALL="C.UTF-8")
        for name, value in (env or {}).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", *(size or (rows, columns)), 0, 0))
        os.execv(program, [program] + [str(a) for a in args])
    data = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([fd], [], [], 1)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            if not piece:
                break
            data += piece
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(fd)
    return Screen(columns, data)
