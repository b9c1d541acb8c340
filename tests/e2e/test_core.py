"""A core says what was said of the living process; and where it lacks something, it says
that."""
import copy
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from conftest import ASYNCMON, OWN, call, pick, usable
from cores import (Dumper, answer, answers, must_equal, need, need_kernel_cores,
                   never_wrong)


@pytest.fixture
def dumper():
    made = []

    def make(*args, **kw):
        made.append(Dumper(*args, **kw))
        return made[-1]
    yield make
    for d in made:
        d.close()


def on_two(all_values, some):
    """(interpreter, value): all on one, some on one whose files are elsewhere."""
    return [(OWN, v) for v in all_values] + [("sid-3.14", v) for v in some]


def one(name):
    return usable(pick(name) or pytest.skip(name + " is not there"))


@pytest.fixture(scope="module")
def known():
    """One core that tests only read: its Dumper, live answers, path."""
    need_kernel_cores()
    d = Dumper(usable(pick(OWN, "pyenv-3.12")))
    live = answers(d.pid)
    yield d, live, d.kernel_core(signal.SIGSEGV)
    d.close()


def test_kernel_core(dumper, interp):
    need_kernel_cores()
    d = dumper(interp)
    live = answers(d.pid)
    seen = answers(d.kernel_core(), *d.options)
    must_equal(live, seen)
    head = seen["ps"][1]["target"]
    assert head["kind"] == "core" and head["paused_us"] is None


def test_gdb_core(dumper, interp):
    d = dumper(interp)
    live = answers(d.pid)
    core, cut = d.gdb_core()
    seen = answers(core, *d.options)
    if not cut:
        return must_equal(live, seen)
    # gdb 13 gives up a mapping at the guard pages that glibc 2.42 has inside of stacks,
    # and leaves zeros in the place of those stacks.
    never_wrong(live, seen)
    assert seen["stacktrace"][0] in (0, 5)
    tasks = [{t["id"]: (t["name"], t["state"], t["coro"]) for t in x["ps"][1]["tasks"]}
             for x in (live, seen)]
    assert tasks[0] == tasks[1]


@pytest.mark.parametrize("name, bits", on_two([0x33, 0x31, 0x7f, 0x23, 0x30, 0x01, 0],
                                              [0x31, 0x7f, 0x01, 0]))
def test_coredump_filter(dumper, name, bits):
    need_kernel_cores()
    d = dumper(one(name), coredump_filter=bits)
    live = answers(d.pid)
    core = d.kernel_core()
    if core is None:
        return
    seen = answers(core, *d.options)
    never_wrong(live, seen)
    if bits & 1:
        must_equal(live, seen, notes=False)
    else:
        assert all(rc in (3, 4, 5) for rc, _ in seen.values())


@pytest.mark.parametrize("name, blocks", on_two([1, 40, 4000, 20000, 35000], [40, 20000]))
def test_cut_by_the_limit(dumper, name, blocks):
    need_kernel_cores()
    d = dumper(one(name), limit=blocks)
    live = answers(d.pid)
    core = d.kernel_core()
    if core is None:
        return
    seen = answers(core, *d.options)
    never_wrong(live, seen)
    for rc, said in seen.values():
        text = said["error"]["message"] if "error" in said else " ".join(said["notes"])
        assert rc in (3, 4, 5) and "cut off" in text, text


def test_sparse(known):
    d, live, core = known
    sparse = d.path("sparse")
    subprocess.check_call(["cp", "--sparse=always", core, sparse])
    must_equal(live, answers(sparse))
    os.unlink(sparse)


@pytest.mark.parametrize("tool", ["zstd", "lz4"])
def test_compressed(known, tool):
    d, live, core = known
    need(tool)
    packed = d.path("core." + tool)
    subprocess.check_call([tool, "-q", "-f", "-1", core, packed] if tool == "lz4" else
                          [tool, "-q", "-f", "-1", core, "-o", packed])
    must_equal(live, answers(packed))
    with open(packed, "r+b") as f:
        f.truncate(os.path.getsize(packed) // 2)
    never_wrong(live, answers(packed))
    with open(packed, "r+b") as f:
        f.seek(100)
        f.write(b"\xff" * 3000)
    a = call("ps", packed)
    assert a.rc in (3, 4, 5) and a.err
    os.unlink(packed)


def test_text(known):
    d, live, core = known
    a = call("where", core, "condition")
    assert a.rc == 0 and "await condition.wait()" in a.out
    a = call("ps", core)
    assert a.rc == 0 and "condition" in a.out
    a = call("attach", core, "--no-rc", "-e", "ps", "-e", "tree", "-e", "stacktrace")
    assert a.rc == 0 and "condition" in a.out, a.err


@pytest.mark.parametrize("words", [("cancel", "condition"), ("signal", "TERM"),
                                   ("inject",), ("console", "-c", "1")])
def test_nothing_acts_on_a_core(known, words):
    d, live, core = known
    before = os.stat(core).st_mtime_ns
    a = call(words[0], core, *words[1:])
    assert a.rc in (2, 3) and a.err, a
    assert os.stat(core).st_mtime_ns == before


@pytest.fixture
def moved(dumper, tmp_path):
    """(Dumper, live answers, core, where its executable was, where it is now)"""
    need_kernel_cores()
    python = usable(pick(OWN, "pyenv-3.12"))
    (tmp_path / "bin").mkdir()
    was = str(tmp_path / "bin" / "python3")
    shutil.copy(os.path.realpath(python.argv[0]), was)
    other = copy.copy(python)
    other.argv = [was]
    d = dumper(other)
    live = answers(d.pid)
    core = d.kernel_core()
    now = str(tmp_path / "elsewhere")
    os.rename(was, now)
    return d, live, core, was, now


def build_id(path):
    need("readelf")
    said = subprocess.check_output(["readelf", "-n", path], stderr=subprocess.DEVNULL)
    return re.search(rb"Build ID: ([0-9a-f]+)", said).group(1).decode()


def test_moved_binary(moved, tmp_path):
    d, live, core, was, now = moved
    seen = answers(core)
    never_wrong(live, seen)
    rc, said = seen["ps"]
    text = said["error"]["message"] if "error" in said else " ".join(said["notes"])
    assert rc in (4, 5) and was in text and "--exe" in text
    must_equal(live, answers(core, "--exe", now))
    root = tmp_path / "root"
    os.makedirs(str(root) + os.path.dirname(was))
    shutil.copy(now, str(root) + was)
    must_equal(live, answers(core, "--sysroot", root), notes=False)
    ident = build_id(now)
    debug = tmp_path / "debug" / ".build-id" / ident[:2]
    debug.mkdir(parents=True)
    shutil.copy(now, str(debug / ident[2:]))
    must_equal(live, answers(core, "--debug-dir", tmp_path / "debug"))


def test_wrong_binary(moved):
    """Both build-ids are named, and nothing is read out of the wrong file."""
    d, live, core, was, now = moved
    other = pick("pyenv-3.12", "pyenv-3.13", "pyenv-3.10")
    if not other:
        pytest.skip("no other python")
    wrong = os.path.realpath(other.argv[0])
    for options in (("--exe", wrong), ()):
        if not options:
            shutil.copy(wrong, was)
        a = call("ps", core, *options)
        assert a.rc in (4, 5), a
        assert build_id(wrong) in a.err and build_id(now) in a.err
        never_wrong(live, answers(core, *options))


RESIDENT = """import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, status)
"""


def resident(*args):
    """(MB at most resident, status) of one call of asyncmon. A small process starts it: the
    kernel counts what the parent's memory was until the exec."""
    said = subprocess.check_output([sys.executable, "-S", "-c", RESIDENT, ASYNCMON]
                                   + list(map(str, args)))
    kb, status = map(int, said.split())
    return kb / 1024, status


@pytest.mark.alone
def test_large_core(dumper, python):
    """Memory follows what is read."""
    need_kernel_cores()
    d = dumper(python, "large.py", 2200)
    core = d.kernel_core()
    assert os.path.getsize(core) > 2 << 30
    mb, rc = resident("ps", core)
    assert rc == 0
    if "asan" not in ASYNCMON:
        assert mb < 100
    rc, said = answer("ps", core)
    assert len(said["tasks"]) == d.target.truth["count"]
