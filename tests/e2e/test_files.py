"""Source lines: only of files that the target's user could read, only while their file
system answers, and only of the text that runs."""
import os
import shutil
import subprocess
import time

import pytest

import fuse
from conftest import ASYNCMON, unshare, wait_for

# Tasks whose code says that it is of the files named; each waits in line 2 of its file.
NAMED = r"""
import asyncio, os, sys
async def main():
    tasks = []
    for path in sys.argv[1:]:
        names = {"asyncio": asyncio}
        exec(compile("async def f():\n    await asyncio.sleep(100)\n", path, "exec"), names)
        task = asyncio.get_running_loop().create_task(names["f"]())
        if hasattr(task, "set_name"):
            task.set_name(os.path.basename(path))
        tasks.append(task)
    await asyncio.sleep(0)
    print(os.getpid(), flush=True)
    await asyncio.sleep(10000)
asyncio.run(main())
"""
PYTHON = "/usr/bin/python3.11"
USER = ["setpriv", "--reuid=12345", "--regid=12345"]


def text_of(word):
    return "async def f():\n    await %s(100)\n" % word


@pytest.fixture
def folder():
    """Where every user gets to."""
    path = "/tmp/asyncmon-files-%d" % os.getpid()
    os.mkdir(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def started():
    procs = []

    def start(argv, **kw):
        p = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **kw)
        procs.append(p)
        line = p.stdout.readline()
        assert line, "the target told nothing"
        return int(line)
    yield start
    for p in procs:
        p.kill()
        p.wait()
        p.stdout.close()


def make(folder, name, mode, uid=0, gid=0):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text_of("word_of_" + name))
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    return path


def needs_users():
    if os.getuid() != 0 or not os.path.exists(PYTHON):
        pytest.skip("needs root and a Python that all may run")


def shown(asyncmon, pid, *names):
    """Of these tasks, those whose line is printed."""
    out = ""
    for name in names:
        answer = asyncmon("where", pid, name)
        assert answer.rc == 0 and "line 2, in f" in answer.out, answer
        out += answer.out
    return {name for name in names if "word_of_" + name in out}


@pytest.mark.parametrize("groups,also", [("--clear-groups", set()), ("--groups=54321", {"group"})])
def test_rights_of_a_user(asyncmon, folder, started, groups, also):
    needs_users()
    files = [make(folder, "all", 0o644), make(folder, "root", 0o600),
             make(folder, "own", 0o400, 12345), make(folder, "closed", 0, 12345),
             make(folder, "group", 0o640, 0, 54321)]
    pid = started(USER + [groups, PYTHON, "-c", NAMED] + files)
    names = [os.path.basename(f) for f in files]
    assert shown(asyncmon, pid, *names) == {"all", "own"} | also
    # Links and other ways to the same file.
    os.symlink(files[1], folder + "/link")
    pid = started(USER + [groups, PYTHON, "-c", NAMED, folder + "/link", "/proc/self/environ"])
    assert shown(asyncmon, pid, "link") == set()
    assert "LC_ALL" not in asyncmon("where", pid, "environ").out


def test_rights_of_root(asyncmon, folder, started):
    needs_users()
    pid = started([PYTHON, "-c", NAMED, make(folder, "closed", 0, 12345)])
    assert shown(asyncmon, pid, "closed") == {"closed"}
    # Root that gave up what makes it root.
    pid = started(["setpriv", "--bounding-set=-dac_override,-dac_read_search",
                   "--inh-caps=-dac_override,-dac_read_search", PYTHON, "-c", NAMED,
                   folder + "/closed"])
    assert shown(asyncmon, pid, "closed") == set()


def test_rights_in_a_user_namespace(asyncmon, folder, started):
    """Root there: over the files of its own user, and of nobody else."""
    needs_users()
    unshare("-Urm")
    files = [make(folder, "root", 0o600), make(folder, "closed", 0, 12345, 12345)]
    pid = started(USER + ["--clear-groups", "unshare", "-Urm", PYTHON, "-c", NAMED] + files)
    assert shown(asyncmon, pid, "root", "closed") == {"closed"}


def test_rights_given_up_later(asyncmon, folder, started):
    """What a session opened before says nothing of what the target may open now."""
    needs_users()
    path = make(folder, "root", 0o600)
    code = NAMED.replace("    await asyncio.sleep(10000)", "    await asyncio.sleep(1)\n"
                         "    os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
                         "    print('given up', flush=True)\n    await asyncio.sleep(10000)")
    p = subprocess.Popen([PYTHON, "-c", code, path], stdout=subprocess.PIPE)
    pid = int(p.stdout.readline())
    try:
        s = subprocess.Popen([ASYNCMON, "attach", str(pid)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        s.stdin.write(b"where root\n")
        s.stdin.flush()
        assert p.stdout.readline() == b"given up\n"
        out, _ = s.communicate(b"where root\n", timeout=60)
        assert out.count(b"line 2, in f") == 2 and out.count(b"word_of_root") <= 1, out
        assert b"word_of_root" not in out[out.rindex(b"line 2, in f"):], out
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def mounted(folder, name, text, answers):
    if os.getuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root and /dev/fuse")
    try:
        return fuse.Mount(folder, name, text, answers)
    except OSError as e:
        pytest.skip("no FUSE here: %s" % e)


ANSWERS = [fuse.LOOKUP, fuse.GETATTR, fuse.OPEN, fuse.READ, fuse.STATFS, fuse.RELEASE, fuse.FLUSH]


@pytest.mark.parametrize("silent", [fuse.LOOKUP, fuse.GETATTR, fuse.STATFS, fuse.OPEN, fuse.READ,
                                    None])
def test_file_system_that_does_not_answer(asyncmon, python, tmp_path, started, silent):
    """Whatever it does not answer: `where` comes back, and says which lines are missing."""
    at = tmp_path / "mnt"
    at.mkdir()
    name = "mod.py"
    mount = mounted(at, name, text_of("word_of_mod").encode(), [a for a in ANSWERS if a != silent])
    try:
        pid = started(python.argv + ["-c", NAMED, str(at / name), str(at / "other.py")])
        answer = asyncmon("where", pid, name, timeout=20)
        assert answer.rc == 0 and "line 2, in f" in answer.out, answer
        if silent is None:
            assert "word_of_mod" in answer.out and answer.err == "", answer
        else:
            assert "word_of_mod" not in answer.out
            assert "mod.py is on a file system that does not answer" in answer.err, answer
            assert silent in mount.asked, mount.asked
        assert asyncmon("ps", pid, timeout=20).rc == 0
    finally:
        mount.close()
    assert wait_for(lambda: not openers())


def openers():
    """Processes of asyncmon that are left, but those that others run now."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if name == "asyncmon-open" and parent == "1" and state != "Z":
            found.append(pid)
    return found


SOURCE = """import asyncio, os, sys
%s
async def nap():
    await asyncio.sleep(3600)  # as it was
async def main():
    t = asyncio.ensure_future(nap())
    if hasattr(t, 'set_name'):
        t.set_name('nap')
    await asyncio.sleep(0)
    print(os.getpid(), flush=True)
    await t
"""
RUN = "if __name__ == '__main__':\n    asyncio.run(main())\n"
FORK = "if os.fork():\n    os.wait()\n    os._exit(0)\n"


def write(path, text, mtime=None):
    with open(path, "w") as f:
        f.write(text)
    if mtime is not None:
        os.utime(path, (mtime, mtime))


def line_of_nap(asyncmon, pid):
    answer = asyncmon("where", pid, "nap")
    assert answer.rc == 0 and "line 4, in nap" in answer.out, answer
    line = answer.out.split("line 4, in nap\n")[1].splitlines()[0].strip()
    return ("" if line.startswith("File") else line), answer.err


def edit_in_place(path):
    write(path, SOURCE.replace("as it was", "as it is") % "" + RUN)


def replace_by_older(path):
    """As rsync and tar do: the time of the text is that of where it came from."""
    write(path + ".new", SOURCE.replace("as it was", "as it is") % "" + RUN, 1e9)
    os.replace(path + ".new", path)


def shorten(path):
    write(path, "import asyncio\n")


def touch_not(path):
    pass


@pytest.mark.parametrize("change", [edit_in_place, replace_by_older, shorten, touch_not])
def test_changed_since(interp, asyncmon, started, tmp_path, change):
    at = (interp.root or "") + "/tmp/asyncmon-changed-%d" % os.getpid()
    os.mkdir(at)
    try:
        path = at + "/app.py"
        write(path, SOURCE % "" + RUN)
        pid = started(interp.argv + ["-u", path[len(interp.root or ""):]])
        change(path)
        line, said = line_of_nap(asyncmon, pid)
        if change is touch_not:
            assert line.endswith("# as it was") and said == ""
        else:
            assert line == "" and "app.py was changed after the process started" in said
    finally:
        shutil.rmtree(at)


def test_changed_before_a_fork(python, asyncmon, started, tmp_path):
    """A child runs what its parent loaded, however young it is."""
    path, child = str(tmp_path / "app.py"), SOURCE % (
        "if 'later' in sys.argv:\n    pass") + RUN
    child = child.replace("    asyncio.run(main())\n",
                          "    sys.stdin.readline()\n    if os.fork():\n        os.wait()\n"
                          "        os._exit(0)\n    asyncio.run(main())\n")
    text = SOURCE % "" + child[len(SOURCE % "if 'later' in sys.argv:\n    pass"):]
    write(path, text)
    p = subprocess.Popen(python.argv + ["-u", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pid = 0
    try:
        time.sleep(0.2)
        edit_in_place(path)
        time.sleep(0.1)
        p.stdin.write(b"\n")
        p.stdin.flush()
        pid = int(p.stdout.readline())
        line, said = line_of_nap(asyncmon, pid)
        assert line == "" and "was changed after the process started" in said
    finally:
        if pid:
            os.kill(pid, 9)
        p.kill()
        p.wait()
        p.stdin.close()
        p.stdout.close()


def test_only_its_mode_was_changed(interp, asyncmon, started):
    """A chmod changes the time of the inode, and no line; what was compiled before says so."""
    at = (interp.root or "") + "/tmp/asyncmon-mode-%d" % os.getpid()
    os.mkdir(at)
    try:
        write(at + "/app.py", SOURCE % "", time.time() - 100)
        code = "import sys; sys.path.insert(0, %r); import app; app.asyncio.run(app.main())"
        argv = interp.argv + ["-u", "-c", code % at[len(interp.root or ""):]]
        env = dict(os.environ)
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        # The first run compiles it, for the second.
        first = subprocess.Popen(argv, stdout=subprocess.PIPE, env=env)
        assert first.stdout.readline()
        first.kill()
        first.wait()
        first.stdout.close()
        assert os.listdir(at + "/__pycache__")
        time.sleep(0.05)
        pid = started(argv, env=env)
        time.sleep(0.05)
        os.chmod(at + "/app.py", 0o600)
        line, said = line_of_nap(asyncmon, pid)
        assert line.endswith("# as it was") and said == ""
        # Without that nobody knows.
        shutil.rmtree(at + "/__pycache__")
        line, said = line_of_nap(asyncmon, pid)
        assert line == "" and "was changed" in said
    finally:
        shutil.rmtree(at)


def core_of(pid, folder):
    if not shutil.which("gcore"):
        pytest.skip("gcore is not installed")
    subprocess.run(["gcore", "-o", os.path.join(folder, "core"), str(pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    return os.path.join(folder, "core.%d" % pid)


def test_changed_after_the_core(python, asyncmon, started, tmp_path):
    path = str(tmp_path / "app.py")
    write(path, SOURCE % "" + RUN)
    core = core_of(started(python.argv + ["-u", path]), str(tmp_path))
    line, said = line_of_nap(asyncmon, core)
    assert line.endswith("# as it was") and "app.py" not in said
    time.sleep(0.05)
    edit_in_place(path)
    said = line_of_nap(asyncmon, core)[1]
    assert "app.py is newer than the core file" in said
    shorten(path)
    line, said = line_of_nap(asyncmon, core)
    assert line == "" and "app.py is not the text that ran" in said


@pytest.mark.parametrize("noted", [False, True])
def test_rights_of_a_cores_owner(asyncmon, folder, started, noted):
    """He wrote it, so what it names is opened with his rights; systemd keeps it as root's,
    and notes whose it was."""
    needs_users()
    files = [make(folder, "all", 0o644), make(folder, "root", 0o600), make(folder, "own", 0o400, 12345)]
    core = core_of(started([PYTHON, "-c", NAMED] + files), folder)
    assert shown(asyncmon, core, "all", "root", "own") == {"all", "root", "own"}
    if noted:
        try:
            os.setxattr(core, "user.coredump.uid", b"12345")
            os.setxattr(core, "user.coredump.gid", b"12345")
        except OSError as e:
            pytest.skip("no attributes of files here: %s" % e)
    else:
        os.chown(core, 12345, 12345)
    assert shown(asyncmon, core, "all", "root", "own") == {"all", "own"}


def test_another_file_of_that_name(python, asyncmon, started, tmp_path):
    """A link that was turned to an older release: no time tells, but the text does."""
    for release, text in (("old", "# older\n" + SOURCE % "" + RUN), ("new", SOURCE % "" + RUN)):
        (tmp_path / release).mkdir()
        write(str(tmp_path / release / "app.py"), text)
    time.sleep(0.05)
    link = tmp_path / "current"
    link.symlink_to("new")
    pid = started(python.argv + ["-u", str(link / "app.py")])
    line, said = line_of_nap(asyncmon, pid)
    assert line.endswith("# as it was") and said == ""
    link.unlink()
    link.symlink_to("old")
    line, said = line_of_nap(asyncmon, pid)
    assert line == "" and "app.py is not the text that ran" in said
