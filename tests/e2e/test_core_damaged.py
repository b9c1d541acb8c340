"""What is no core, no Python's, or damaged: a clear line and a promised status, soon."""
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess

import pytest

from conftest import ASYNCMON, OWN, call, pick, usable, wait_for
from cores import COMMANDS, Dumper, answers, need_kernel_cores, offset_of, segments

SANITIZED = "asan" in ASYNCMON
SECONDS = 60 if SANITIZED else 10


@pytest.fixture(scope="module", params=[OWN, "sid-3.14"])
def small(request):
    """(Dumper, answers, path) of a core that tests may write to, if they undo it."""
    need_kernel_cores()
    python = usable(pick(request.param) or pytest.skip(request.param + " is not there"))
    d = Dumper(python, "cycle.py")
    live = answers(d.pid)
    yield d, live, d.kernel_core()
    d.close()


def refused(path, *words, rc=3):
    for command in COMMANDS.values():
        a = call(*command, path, timeout=SECONDS)
        assert a.rc == rc and a.out == "", (command, a)
        assert a.err.startswith("asyncmon: ") and len(a.err.splitlines()) == 1, a.err
        for word in words:
            assert word in a.err, a.err
    said = json.loads(call("ps", "--json", path, timeout=SECONDS).out)
    assert said["error"]["code"] and said["error"]["message"]


def test_no_core(tmp_path):
    def file(name, data):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name
    refused(file("empty", b""), "empty")
    refused(file("text", b"Segmentation fault (core dumped)\n" * 100), "text")
    refused(file("short", b"\x7fELF\x02\x01"), "short")
    refused(file("zeros", bytes(1 << 16)), "zeros")
    refused("/bin/sh", "/bin/sh", "not a core dump")
    refused(tmp_path, str(tmp_path), "not a regular file")
    refused(tmp_path / "missing", "missing")
    refused(tmp_path / "empty" / "below", "below")
    refused("/dev/zero", "/dev/zero", "not a regular file")
    os.mkfifo(str(tmp_path / "fifo"))
    refused(tmp_path / "fifo", "not a regular file")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "socket"))
        refused(tmp_path / "socket", "not a regular file")
    os.symlink("loop", str(tmp_path / "loop"))
    refused(tmp_path / "loop", "loop")
    for magic in (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"):
        refused(file("packed", magic), "packed")
        refused(file("packed", magic + os.urandom(5000)), "packed")


def test_other_machines(small):
    d, _, core = small
    with open(core, "rb") as f:
        head = f.read(1 << 16)
    path = d.path("other")
    for at, data, word in ((18, struct.pack("<H", 183), "AArch64"), (4, b"\x01", "machine"),
                           (5, b"\x02", "machine"), (18, struct.pack("<H", 4711), "4711"),
                           (16, struct.pack("<H", 3), "not a core dump")):
        with open(path, "wb") as f:
            f.write(head[:at] + data + head[at + len(data):])
        refused(path, word)
    os.unlink(path)


def dumped(argv, folder):
    """A core of a program that is given a second."""
    need_kernel_cores()
    p = subprocess.Popen(["sh", "-c", 'ulimit -c unlimited; cd "$0"; exec "$@"', folder] + argv,
                         stdout=subprocess.PIPE)
    wait_for(lambda: os.path.basename(os.readlink("/proc/%d/exe" % p.pid)).startswith(
        os.path.basename(os.path.realpath(argv[0]))))
    if "-c" in argv:
        p.stdout.readline()
    os.kill(p.pid, signal.SIGABRT)  # SIGQUIT is ignored in what a shell runs in the background
    p.wait(20)
    found = [f for f in os.listdir(folder) if "core" in f]
    if not found:
        pytest.skip("the kernel writes cores elsewhere")
    return os.path.join(folder, found[0])


def test_no_python(tmp_path):
    core = dumped([shutil.which("sleep"), "100"], str(tmp_path))
    refused(core, "no CPython", rc=4)


def test_no_asyncio(tmp_path, python):
    core = dumped(python.argv + ["-c", "import time; print(flush=True); time.sleep(100)"],
                  str(tmp_path))
    a = call("ps", core)
    assert a.rc == 4 and "asyncio" in a.err
    a = call("stacktrace", core)
    assert a.rc == 0 and "<module>" in a.out


class Broken:
    """Calls asyncmon on a core that was changed, with one command after the other."""
    commands = list(COMMANDS.values()) + [("stacktrace", "--native"), ("check",),
                                          ("ps-terminated",)]

    def __init__(self, core, options):
        self.core, self.options, self.n = core, options, 0
        self.statuses = {}

    def look(self, what):
        command = self.commands[self.n % len(self.commands)]
        json_too = ["--json"] if self.n // len(self.commands) % 2 else []
        self.n += 1
        try:
            a = call(*command, self.core, *json_too, *self.options, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail("%s hangs on %s" % (command, what))
        assert a.rc in (0, 1, 3, 4, 5), (command, what, a.rc, a.err[-3000:])
        assert "runtime error" not in a.err and "Sanitizer" not in a.err, (what, a.err[-3000:])
        if json_too:
            json.loads(a.raw.decode("utf-8", "strict"))
        self.statuses[a.rc] = self.statuses.get(a.rc, 0) + 1


def other_word(rng, was):
    return rng.choice((
        bytes(8), b"\xff" * 8, bytes(rng.randrange(256) for _ in range(8)),
        struct.pack("<Q", 1 << rng.randrange(64)),
        bytes(b ^ 1 << rng.randrange(8) for b in was),
        struct.pack("<q", rng.choice((-1, 1, 8, 1 << 31, 1 << 46)))))[:len(was)]


@contextlib.contextmanager
def scribbled(core, spots, rng, n):
    """n of the words at these offsets are others, for a while."""
    kept = []
    fd = os.open(core, os.O_RDWR)
    for at in rng.sample(spots, min(n, len(spots))):
        kept.append((at, os.pread(fd, 8, at)))
        os.pwrite(fd, other_word(rng, kept[-1][1]), at)
    yield
    for at, was in reversed(kept):
        os.pwrite(fd, was, at)
    os.close(fd)


def spots_of(live, core):
    """Where to write, by what it is."""
    table = segments(core)
    first = min(offset for _, _, filesz, offset in table if filesz)
    ids = [int(t["id"], 16) for t in live["ps"][1]["tasks"]]
    ids += [int(l["id"], 16) for l in live["ps"][1]["loops"]]
    objects = [offset_of(table, i) for i in ids]
    with open(core, "rb") as f:
        near = set()
        for at in objects:  # the objects, and what their words point to
            f.seek(at)
            for word in struct.unpack("<32Q", f.read(256)):
                to = offset_of(table, word & ~7)
                if to:
                    near.update(range(to, to + 128, 8))
    size = os.path.getsize(core)
    return {
        "header": list(range(4, 64)),
        "program headers": list(range(64, 64 + 56 * len(table) + 56)),
        "notes": list(range(64 + 56 * len(table) + 56, first - 8, 4)),
        "tasks": [at + i for at in objects for i in range(0, 256, 8)],
        "objects": [at for at in near if at + 8 < size],
        "anywhere": list(range(first, size - 8, 8)),
    }


def test_damaged(small):
    d, live, core = small
    rng = random.Random(3)
    broken = Broken(core, d.options)
    for what, spots in spots_of(live, core).items():
        for i in range(4 if SANITIZED else 40):
            n = rng.choice((1, 2, 8, 64)) if what != "anywhere" else len(spots) // 100
            n = max(1, min(n, len(spots) // 4))
            with scribbled(core, spots, rng, min(n, 2000)):
                broken.look("%s, %d words" % (what, n))
    assert answers(core, *d.options)["ps"][0] == 0
    size = os.path.getsize(core)
    cuts = {rng.randrange(size) for _ in range(30)} | {rng.randrange(1 << 14) for _ in range(20)}
    cuts |= {size - 1, size // 4096 * 4096, 63, 64, 65, 4095, 4096, 4097, 1, 0}
    for cut in sorted(cuts, reverse=True):
        os.truncate(core, cut)
        broken.look("cut at %d" % cut)
    print(broken.n, "looks:", broken.statuses)
