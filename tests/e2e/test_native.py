"""Native stacks: the same C frames as gdb's, Python's in their places."""
import copy
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import pytest

import conftest
import cores
from conftest import INTERPS, OWN, proc_status, some, unshare, usable, wait_for

NAMES = some(
    OWN, "pyenv-3.8", "pyenv-3.9", "pyenv-3.10", "pyenv-3.11",
    "pyenv-3.12", "pyenv-3.13", "sid-3.13", "sid-3.14", "sid-3.15",
    "sid-3.14-dbg", "sid-3.15-dbg", "ft-3.13t")
SHAPES = ["syscall", "extension", "gil", "uvloop", "signal"]
# What a call of the evaluation loop consists of.
LOOP = re.compile(r"(_PyEval_(EvalFrameDefault|EvalFrame|Vector)|_TAIL_CALL_\w+)(\.|$)")

GDB = r"""
import gdb, json
threads = {}
for t in gdb.selected_inferior().threads():
    t.switch()
    f, frames = gdb.newest_frame(), []
    while f is not None:
        # Not those that the compiler left no trace of on the stack.
        if f.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            frames.append((f.pc(), f.name(), f.type() == gdb.SIGTRAMP_FRAME))
        f = f.older()
    threads[t.ptid[1]] = frames[::-1]
print("FRAMES " + json.dumps(threads))
"""

needs_gdb = pytest.mark.skipif(not shutil.which("gdb"), reason="no gdb")


def gdb_frames(t, tmp_path):
    script = tmp_path / "frames.py"
    script.write_text(GDB)
    argv = ["gdb", "-nx", "-batch", "-iex", "set auto-load off",
            "-iex", "set debuginfod enabled off",
            "-iex", "set sysroot " + (t.interp.root or "/"),
            "-ex", "set backtrace past-main on",
            "-ex", "set backtrace past-entry on",
            "-ex", "source %s" % script,
            os.readlink("/proc/%d/exe" % t.pid), str(t.pid)]
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       stdin=subprocess.DEVNULL, timeout=120)
    for line in p.stdout.decode("utf-8", "replace").splitlines():
        if line.startswith("FRAMES "):
            return {int(k): v for k, v in json.loads(line[7:]).items()}
    pytest.skip("gdb: " + p.stderr.decode("utf-8", "replace")[-300:])


def gdb_lines(t):
    """{pc: (file, line)}; at a pc of inlined functions the innermost one's."""
    code = r"""
import gdb, json
out, f = {}, gdb.newest_frame()
while f is not None:
    sal = f.find_sal()
    if sal.symtab and f.type() != gdb.TAILCALL_FRAME:
        out.setdefault(f.pc(), (sal.symtab.filename, sal.line))
    f = f.older()
print("LINES " + json.dumps(list(out.items())))
"""
    p = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set auto-load off",
                        "-iex", "set debuginfod enabled off", "-p", str(t.pid),
                        "-ex", "python exec(%r)" % code],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       stdin=subprocess.DEVNULL, timeout=120)
    for line in p.stdout.decode("utf-8", "replace").splitlines():
        if line.startswith("LINES "):
            return {pc: tuple(at) for pc, at in json.loads(line[6:])}
    pytest.skip("gdb: " + p.stderr.decode("utf-8", "replace")[-300:])


def native_threads(asyncmon, t):
    a = asyncmon.json("stacktrace", "--native", t.pid)
    assert a["complete"], a["notes"]
    return {x["tid"]: x for x in a["threads"]}


def compare(mine, theirs):
    """Mine without Python's frames is theirs without the loop's, None if not."""
    hidden, at = [], 0
    for f in mine["frames"]:
        if f["kind"] == "python":
            continue
        pc = int(f["address"], 16)
        while at < len(theirs) and theirs[at][0] != pc:
            hidden.append(theirs[at])
            at += 1
        if at == len(theirs):
            return "not in gdb's: %s" % f
        at += 1
    hidden += theirs[at:]
    for pc, name, _ in hidden:
        if name and not LOOP.match(name):
            return "only in gdb's: %#x %s" % (pc, name)
    runs = sum(f["kind"] == "python" and (i == 0 or mine["frames"][i - 1]
                                          ["kind"] == "native")
               for i, f in enumerate(mine["frames"]))
    calls = sum("EvalFrameDefault" in (name or "") for _, name, _ in hidden)
    if runs > max(calls, len(hidden)):
        return "%d runs of Python frames for %d calls" % (runs, calls)
    return None


def settle(t, shape):
    """Until the main thread has got where it goes."""
    def there():
        with open("/proc/%d/task/%d/syscall" % (t.pid, t.pid)) as f:
            text = f.read().split()
        return text and text[0] not in ("running", "-1")
    wait_for(there, 5)
    time.sleep(0.6 if shape in ("signal", "gil") else 0.3)


def start(target, name, shape):
    interp = usable(INTERPS[name])
    if shape == "uvloop" and not interp.has_uvloop:
        pytest.skip("no uvloop for " + name)
    t = target(interp, "native.py", shape)
    settle(t, shape)
    return t


@needs_gdb
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_same_as_gdb(asyncmon, target, tmp_path, name, shape):
    t = start(target, name, shape)
    for last in (False, False, True):
        mine, theirs = native_threads(asyncmon, t), gdb_frames(t, tmp_path)
        wrong = {tid: compare(mine[tid], theirs[tid]) for tid in theirs}
        wrong = {k: v for k, v in wrong.items() if v}
        if not wrong:
            break
        # A thread that wants the GIL looks up every 5 ms.
        assert not last, (wrong, mine, theirs)
    assert set(mine) == set(theirs)
    assert not [x["broken"] for x in mine.values() if x["broken"]]


NAMELESS = "{ local: _PyEval_EvalFrameDefault; _PyEval_EvalFrame; _PyEval_Vector; };"


def linked(name, tmp_path, *options):
    """That Python as one executable, stripped."""
    interp = copy.copy(usable(INTERPS[name]))
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(interp.argv[0])))
    config = glob.glob(prefix + "/lib/python3.*/config-3.*/")
    archive = glob.glob(config[0] + "libpython3.*.a") if config else []
    if not archive or not shutil.which("gcc"):
        pytest.skip("nothing to link " + name + " from")
    exe = str(tmp_path / "python")
    subprocess.run(["gcc", "-s", *options, "-o", exe, config[0] + "python.o",
                    "-Wl,--whole-archive", archive[0], "-Wl,--no-whole-archive",
                    "-lpthread", "-ldl", "-lutil", "-lm"],
                   stderr=subprocess.DEVNULL, check=True)
    interp.argv = ["/usr/bin/env", "PYTHONHOME=" + prefix, exe]
    return interp


def nameless(name, tmp_path):
    """One that exports no name of the loop."""
    (tmp_path / "names").write_text(NAMELESS)
    return linked(name, tmp_path, "-rdynamic",
                  "-Wl,--version-script=" + str(tmp_path / "names"))


@needs_gdb
@pytest.mark.parametrize("how", ["-static", "-static-pie"])
@pytest.mark.parametrize("name", ["pyenv-3.12", "pyenv-3.13"])
def test_static(asyncmon, target, tmp_path, name, how):
    """No libc beside it, no names at all; with -static no table of unwind data."""
    t = target(linked(name, tmp_path, how), "bare.py")
    settle(t, "bare")
    mine, theirs = native_threads(asyncmon, t), gdb_frames(t, tmp_path)
    assert len(mine) == 2
    for tid, x in mine.items():
        assert not x["broken"], x
        assert not compare(x, theirs[tid])
        kinds = [f["kind"] for f in x["frames"]]
        assert kinds[0] == kinds[-1] == "native"
    assert python_names(mine[t.pid]) == t.truth["python"]


@needs_gdb
@pytest.mark.parametrize("name", ["pyenv-3.8", "pyenv-3.9", "pyenv-3.10",
                                  "pyenv-3.12", "pyenv-3.13"])
def test_loop_without_a_name(asyncmon, target, tmp_path, name):
    t = target(nameless(name, tmp_path), "native.py", "syscall")
    settle(t, "syscall")
    mine, theirs = native_threads(asyncmon, t), gdb_frames(t, tmp_path)
    assert not [x["broken"] for x in mine.values() if x["broken"]]
    assert not compare(mine[t.pid], theirs[t.pid])
    assert python_names(mine[t.pid])[-4:] == t.truth["python"]
    kinds = [f["kind"] for f in mine[t.pid]["frames"]]
    assert kinds[0] == kinds[-1] == "native"
    runs = [k for k, before in zip(kinds, ["native"] + kinds) if k != before]
    assert runs.count("python") > 2, kinds


@pytest.mark.parametrize("name", some())
def test_handlers_without_names(asyncmon, target, tmp_path, name):
    """A build with tail calls (--with-tail-call-interp), stripped: within Python's frames
    nothing of the loop is left."""
    interp = copy.copy(usable(INTERPS[name]))
    exe = os.path.realpath(interp.argv[0])
    nm = subprocess.run(["nm", exe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if b" _TAIL_CALL_" not in nm.stdout:
        pytest.skip("no tail calls, or stripped already")
    whole = native_threads(asyncmon, start(target, name, "syscall"))
    stripped = exe + "-stripped-for-asyncmon"
    try:
        subprocess.run(["strip", "-o", stripped, exe], check=True)
        interp.argv = [stripped] + interp.argv[1:]
        t = target(interp, "native.py", "syscall")
        settle(t, "syscall")
        mine = native_threads(asyncmon, t)
    finally:
        os.unlink(stripped)

    def inside(threads, function):
        """What kinds of frames are further in than that function of Python's."""
        frames = [x for x in threads.values()][0]["frames"]
        at = [i for i, f in enumerate(frames) if f["function"] == function]
        return [f["kind"] for f in frames[at[0] + 1:]]
    assert inside(mine, "Made.key") == inside(whole, "Made.key")
    # One that calls the loop has no name now, and is shown.
    assert len(inside(mine, "Made.__init__")) <= len(inside(whole, "Made.__init__")) + 1


@needs_gdb
@pytest.mark.parametrize("name", ["pyenv-3.8", "pyenv-3.12"])
def test_lines_of_dwarf(asyncmon, target, name):
    t = start(target, name, "syscall")
    frames = [f for f in native_threads(asyncmon, t)[t.pid]["frames"]
              if f["kind"] == "native"]
    mine = {int(f["address"], 16): (os.path.basename(f["file"]), f["line"])
            for f in frames if f["file"]}
    theirs = {pc: (os.path.basename(file), line)
              for pc, (file, line) in gdb_lines(t).items()}
    assert any(file.endswith(".c") and line > 0 for file, line in mine.values())
    same = [pc for pc in mine if pc in theirs]
    assert len(same) > 10
    assert {pc: mine[pc] for pc in same} == {pc: theirs[pc] for pc in same}
    assert all((f["file"] is None) == (f["line"] is None) for f in frames)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_python_in_place(asyncmon, target, name, shape):
    t = start(target, name, shape)
    main = native_threads(asyncmon, t)[t.pid]
    names = [f["function"].split(".")[-1] for f in main["frames"]
             if f["kind"] == "python"]
    want = t.truth["python"]
    if shape == "gil": # somewhere within threading, most of the time
        assert want[0] in names
    else:
        assert names[len(names) - len(want):] == want
    kinds = [f["kind"] for f in main["frames"]]
    assert kinds[0] == kinds[-1] == "native", main
    last = len(kinds) - kinds[::-1].index("python")
    inner = [f["module"] for f in main["frames"][last:]]
    if shape == "extension":
        assert any("_ctypes" in m or "libffi" in m for m in inner), inner
    if shape == "uvloop":
        assert any("uvloop" in m for m in inner), inner
    if shape == "signal":
        i = [k for k, f in enumerate(main["frames"])
             if (f["function"] or "").split(".")[-1] in want]
        between = main["frames"][i[0] + 1:i[1]]
        assert any("_ctypes" in f["module"] for f in between), between


@pytest.mark.parametrize("name,shape", [
    *[(name, "deep") for name in NAMES],
    (OWN, "deepest"), ("sid-3.14", "deepest")])
def test_deep(asyncmon, target, name, shape):
    """More of the C stack than is copied at first; and what goes through the
    loop, whose unwind data is long, thousands of times."""
    t = start(target, name, shape)
    main = native_threads(asyncmon, t)[t.pid]
    names = [f["function"].split(".")[-1] for f in main["frames"]
             if f["kind"] == "python"]
    want = t.truth["python"]
    assert names[len(names) - len(want):] == want
    assert not main["broken"]
    assert main["frames"][0]["kind"] == "native"


def python_names(thread):
    return [f["function"].split(".")[-1] for f in thread["frames"]
            if f["kind"] == "python"]


@pytest.mark.parametrize("name", NAMES)
def test_callback(asyncmon, target, name):
    """C code made at run time, between two calls of the loop."""
    t = start(target, name, "callback")
    main = native_threads(asyncmon, t)[t.pid]
    assert python_names(main)[-2:] == t.truth["python"]
    assert not main["broken"]
    at = [i for i, f in enumerate(main["frames"]) if f["kind"] == "python"]
    between = main["frames"][at[-2] + 1:at[-1]]
    assert any("qsort" in (f["function"] or "") for f in between), between


@needs_gdb
@pytest.mark.parametrize("name", some(OWN, "pyenv-3.9", "pyenv-3.13",
                                      "sid-3.14"))
def test_call_of_no_code(asyncmon, target, tmp_path, name):
    """What a call of a NULL pointer leaves, is who called it."""
    t = start(target, name, "badcall")
    main = native_threads(asyncmon, t)[t.pid]
    assert not main["broken"]
    assert python_names(main)[-1:] == t.truth["python"]
    assert not compare(main, gdb_frames(t, tmp_path)[t.pid])
    handled = [f["signal"] for f in main["frames"]].index(True)
    assert main["frames"][handled - 1]["address"] == "0x0"
    assert python_names({"frames": main["frames"][handled:]}) == []
    out = asyncmon("stacktrace", "--native", t.pid).out
    assert "\n  ? at 0x0\n  <signal handler called> in libc" in out, out


@pytest.mark.parametrize("name", some(OWN, "pyenv-3.9", "sid-3.14"))
def test_core_of_a_call_of_no_code(asyncmon, target, tmp_path, name):
    """The commonest crash of extensions, without a handler."""
    cores.need_kernel_cores()
    interp = copy.copy(usable(INTERPS[name]))
    inside = tempfile.mkdtemp(dir=(interp.root or "") + "/tmp")
    shell = ["sh", "-c", "ulimit -c unlimited; cd \"$0\"; exec \"$@\"",
             inside[len(interp.root or ""):]]
    at = 2 if interp.root else 0
    interp.argv = interp.argv[:at] + shell + interp.argv[at:]
    try:
        t = target(interp, "native.py", "crash")
        t.dead = t.proc.wait(60) is not None
        found = os.listdir(inside)
        if not found:
            pytest.skip("the kernel wrote no core")
        args = ["--sysroot", interp.root] if interp.root else []
        core = asyncmon.json("stacktrace", "--native", inside + "/" + found[0], *args)
    finally:
        shutil.rmtree(inside)
    main = core["threads"][0]
    assert not main["broken"]
    assert python_names(main)[-1:] == t.truth["python"]
    assert main["frames"][-1]["address"] == "0x0"
    assert main["frames"][0]["kind"] == "native"


@pytest.mark.parametrize("name", some(OWN, "sid-3.14"))
def test_deep_below_a_handlers_stack(asyncmon, target, name):
    """The stack pointer is in another stack than nearly all frames."""
    t = start(target, name, "altstack")
    main = native_threads(asyncmon, t)[t.pid]
    assert not main["broken"]
    assert python_names(main)[1:] == t.truth["python"]
    assert main["frames"][0]["kind"] == "native"
    assert [f["signal"] for f in main["frames"]].count(True) == 1


def bad_debug_file(how, path, tmp_path):
    if how == "fifo":
        os.mkfifo(path)
    elif how == "folder":
        os.mkdir(path)
    elif how == "itself":
        os.symlink(path, path)
    elif how == "device":
        os.symlink("/dev/zero", path)
    else: # of another program
        source = tmp_path / "other.c"
        source.write_text("int liar(void) { return 1; } int main(void) { return liar(); }")
        subprocess.run(["gcc", "-g", "-Wl,-Ttext-segment=0x400000", "-no-pie", "-o", path,
                        str(source)], check=True)
        if how == "truncated":
            os.truncate(path, 3000)


@pytest.mark.parametrize("how", ["fifo", "folder", "itself", "device", "another", "truncated"])
def test_bad_debug_files(asyncmon, target, tmp_path, how):
    """What lies where the debug file of Python's executable should."""
    interp = usable(INTERPS[OWN])
    if os.geteuid() or not shutil.which("gcc"):
        pytest.skip("needs root and a compiler")
    # It has to be there to be mounted over; a fresh machine has none.
    os.makedirs("/usr/lib/debug", exist_ok=True)
    notes = subprocess.check_output(["readelf", "-n", interp.argv[0]]).decode()
    found = re.search(r"Build ID: (\w\w)(\w+)", notes)
    folder = tmp_path / "debug" / ".build-id" / found.group(1)
    folder.mkdir(parents=True)
    bad_debug_file(how, str(folder / (found.group(2) + ".debug")), tmp_path)
    script = "mount --bind %s /usr/lib/debug; exec \"$@\"" % (tmp_path / "debug")
    t = target(interp, "native.py", "syscall",
               prefix=unshare("-m") + ["sh", "-ec", script, "sh"])
    settle(t, "syscall")
    a = asyncmon.json("stacktrace", "--native", t.pid, timeout=20)
    main = a["threads"][0]
    assert a["complete"] and not main["broken"]
    functions = [f["function"] for f in main["frames"] if f["kind"] == "native"]
    assert "Py_BytesMain" in functions and "liar" not in functions


def test_libraries_loaded_since(target):
    """A session knows those that its target loaded after it began."""
    interp = usable(INTERPS[OWN])
    t = target(interp, "native.py", "late")
    script = "kill -USR1 %d; sleep 1" % t.pid
    p = subprocess.run([conftest.ASYNCMON, "attach", str(t.pid), "-e", "stacktrace --native",
                        "-e", "stacktrace | (%s)" % script,
                        "-e", "stacktrace --native"], stdout=subprocess.PIPE,
                       stdin=subprocess.DEVNULL, timeout=60)
    out = p.stdout.decode()
    assert "in late" in out and "ends early" not in out, out
    assert re.search(r"sqlite3_step in libsqlite3", out), out


@pytest.mark.parametrize("name", [OWN])
def test_threads_that_come_and_go(asyncmon, target, name):
    """Threads are met before their first instruction, with stacks that no map showed a
    moment ago."""
    t = target(usable(INTERPS[name]), "threadchurn.py")
    for _ in range(40):
        for x in native_threads(asyncmon, t).values():
            assert not x["broken"], x


def test_in_vfork(asyncmon, target, python):
    """It cannot be stopped: what Python says is there, and why nothing else is."""
    t = target(python, "native.py", "vfork")
    wait_for(lambda: proc_status(t.pid)["State"].startswith("D"), 5)
    try:
        main = native_threads(asyncmon, t)[t.pid]
        assert python_names(main)[-1] == "spawns"
        assert "vfork" in main["broken"]
    finally:
        os.close(os.open(t.truth["python"][1], os.O_WRONLY))
        shutil.rmtree(os.path.dirname(t.truth["python"][1]))
    t.proc.wait(10)
    t.dead = True


@pytest.mark.parametrize("name", [OWN, "sid-3.14"])
def test_greenlet(asyncmon, target, name):
    """The frames of the one that runs, in their places, and of no other."""
    interp = usable(INTERPS[name])
    if subprocess.run(interp.argv + ["-c", "import greenlet"],
                      stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no greenlet for " + name)
    t = start(target, name, "greenlet")
    main = native_threads(asyncmon, t)[t.pid]
    assert python_names(main) == t.truth["python"]
    assert "greenlet" in main["broken"]
    kinds = [f["kind"] for f in main["frames"]]
    at = [i for i, k in enumerate(kinds) if k == "python"]
    assert at[1] > at[0] + 1 and kinds[0] == kinds[-1] == "native", kinds


@pytest.mark.parametrize("name", ["pyenv-3.12", "pyenv-3.13", "sid-3.14",
                                  "sid-3.15"])
def test_perf_trampolines(asyncmon, target, name):
    """Code without unwind data between all calls of the loop: either every
    frame in its place, or it is said where the C stack ends."""
    interp = copy.copy(usable(INTERPS[name]))
    interp.argv = interp.argv + ["-X", "perf"]
    t = target(interp, "native.py", "callback")
    settle(t, "callback")
    main = native_threads(asyncmon, t)[t.pid]
    assert python_names(main)[-2:] == t.truth["python"]
    first = main["frames"][0]
    assert main["broken"] or first["function"] == "_start", main
    for f in main["frames"]: # none that was guessed
        assert f["kind"] == "python" or main["broken"] or f["module"], f


@pytest.mark.parametrize("name", NAMES)
def test_where_of_running(asyncmon, target, name):
    t = start(target, name, "syscall")
    task = [x for x in asyncmon.json("ps", t.pid)["tasks"]
            if x["state"] == "running"][0]
    frames = asyncmon.json("where", t.pid, task["id"])["tasks"][0]["native"]
    names = [f["function"].split(".")[-1] for f in frames
             if f["kind"] == "python"]
    assert names == t.truth["python"]
    assert frames[0]["kind"] == "python" and frames[-1]["kind"] == "native"
    assert "read" in asyncmon("where", t.pid, task["id"]).out


@pytest.mark.parametrize("name", some("sid-3.14-jit", "sid-3.15-jit"))
def test_jit(asyncmon, target, name):
    """Code that was compiled as it ran says nothing of its frames: Python's are all
    there, C's where they are known, and where the C stack ends early it says so."""
    t = start(target, name, "hot")
    with open("/proc/%d/maps" % t.pid) as f:
        compiled = [line for line in f.read().splitlines()
                    if " r-xp 00000000 00:00 0" in line and not line.endswith("]")]
    if not compiled:
        pytest.skip("nothing was compiled")
    a = asyncmon("stacktrace", "--native", t.pid)
    frames = asyncmon.json("stacktrace", "--native", t.pid)["threads"][0]["frames"]
    mine = [f["function"] for f in frames if f["kind"] == "python"]
    assert mine[-2:] == t.truth["python"] and "run" in mine[0] + mine[1]
    assert frames[-1]["kind"] == "native"
    assert any(f["function"] == "read" for f in frames)
    begins = any(f["function"] in ("_start", "__libc_start_main") for f in frames)
    assert begins != ("the C stack ends early" in a.out), a.out
    assert asyncmon.json("ps", t.pid)["tasks"][0]["stack"][-1]["function"] == "hot"


@pytest.mark.parametrize("name", some(OWN, "pyenv-3.9", "pyenv-3.13",
                                      "sid-3.14"))
@needs_gdb
def test_core_same_as_live(asyncmon, target, tmp_path, name):
    t = start(target, name, "syscall")
    live = asyncmon.json("stacktrace", "--native", t.pid)
    task = live["threads"][0]["task"]
    assert task and live["threads"][0]["loop"]
    where = asyncmon.json("where", t.pid, task)["tasks"][0]["native"]
    core = str(tmp_path / "core")
    subprocess.run(["gdb", "-nx", "-batch", "-ex", "gcore " + core, "-p",
                    str(t.pid)], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=120)
    if not os.path.exists(core):
        pytest.skip("gdb wrote no core")
    args = ["--sysroot", t.interp.root] if t.interp.root else []
    dead = asyncmon.json("stacktrace", "--native", core, *args)
    told = asyncmon.json("where", core, task, *args)["tasks"][0]["native"]
    stacks = [x["frames"] for x in dead["threads"] + live["threads"]]
    for f in sum(stacks, where + told): # the core has the host's paths
        f["module"] = os.path.basename(f["module"] or "")
    for x in dead["threads"] + live["threads"]:
        del x["name"]
    assert dead["threads"] == live["threads"]
    assert told == where and told[-1]["kind"] == "native"
