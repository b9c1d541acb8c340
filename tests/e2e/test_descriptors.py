"""asyncmon with its standard descriptors closed: what it opens must not become one of them."""
import itertools
import os
import subprocess

import pytest

from conftest import ASYNCMON, call, wait_for

COMMANDS = [["ps"], ["stacktrace"], ["console", "-c", "print(1)"], ["inject", "--stats"]]


@pytest.mark.parametrize("closed", [c for n in (1, 2, 3) for c in itertools.combinations((0, 1, 2), n)],
                         ids=lambda c: "".join(map(str, c)))
def test_closed(target, python, closed):
    t = target(python, "actors.py")
    for command in COMMANDS:
        argv = [ASYNCMON, command[0], str(t.pid)] + command[1:]
        script = "exec " + " ".join("%d>&-" % fd for fd in closed) + '; exec "$@"'
        p = subprocess.run(["bash", "-c", script, "bash"] + argv, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if 1 in closed:
            # An answer that nobody gets is no success.
            assert p.returncode == 3, p
            if 2 not in closed:
                assert b"standard output" in p.stderr, p
        else:
            assert p.returncode == 0 and p.stdout, p


def test_they_are_no_other_files(target, python):
    t = target(python, "actors.py")
    p = subprocess.Popen(["bash", "-c", 'exec <&- >&- 2>&-; exec "$@"', "bash", ASYNCMON, "console", str(t.pid),
                          "-c", "await asyncio.sleep(600)"])

    def standard():
        try:
            links = [os.readlink("/proc/%d/fd/%d" % (p.pid, fd)) for fd in (0, 1, 2)]
        except OSError:
            return None
        # The console is at work.
        return links if "asyncmon-console" in call("ps", t.pid).out else None
    try:
        assert wait_for(standard) == ["/dev/null"] * 3
    finally:
        p.kill()
        p.wait()


@pytest.mark.parametrize("command", ["ps", "tree", "where --locals", "stacktrace --native", "check", "inject"])
def test_little_stack(shared, python, command):
    """A shell that was told `ulimit -s 64`."""
    t = shared(python, "shapes.py")
    words = command.split()
    argv = ["bash", "-c", 'ulimit -s 64; exec "$@"', "bash", ASYNCMON, words[0], str(t.pid)] + words[1:]
    if words[0] == "where":
        argv.append(next(iter(t.tasks())))
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode in (0, 1, 5) and p.stdout, p
