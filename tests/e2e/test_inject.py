"""Ways into a running process, and what becomes of it: idle, busy, blocked, stopped, in
other namespaces, as another user, with nothing to write to; a killed asyncmon."""
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

from conftest import ASYNCMON, TARGETS, proc_status, unshare, wait_for

ROUNDS = int(os.environ.get("ASYNCMON_INJECTIONS", "10"))
SHOTS = int(os.environ.get("ASYNCMON_SHOTS", "20"))


def inject(asyncmon, pid, *args):
    answer = asyncmon("inject", pid, *args)
    # A busy target may be too quick for a whole look at its tasks (5).
    assert answer.rc in (0, 5), answer.err
    return answer


def ticks(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def no_channel(pid):
    left = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            left.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            pass
    return not [x for x in left if "asyncmon" in x]


@pytest.mark.parametrize("what", ["history.py", "churn.py"])
def test_again_and_again(interp, target, asyncmon, what):
    t = target(interp, what)
    for i in range(ROUNDS):
        inject(asyncmon, t.pid, *(["--remove"] if i % 2 else []))
    for i in range(SHOTS):
        p = subprocess.Popen([ASYNCMON, "inject", str(t.pid)] + (["--remove"] if i % 2 else []),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.random() * 0.04)
        p.kill()
        p.wait()
    t.unharmed()
    if not no_channel(t.pid):
        time.sleep(4)
    # What a killed one left open the next one has closed.
    inject(asyncmon, t.pid)
    assert wait_for(lambda: no_channel(t.pid))
    if what == "churn.py":
        before = ticks(t.pid)
        assert wait_for(lambda: ticks(t.pid) > before)
    t.unharmed()


def test_leaves_no_task(interp, target, asyncmon):
    """The agent tries itself on tasks of its own, which are none of the program's."""
    t = target(interp, "actors.py")
    before = {x["name"] for x in asyncmon.json("ps", t.pid, "--all")["tasks"]}
    inject(asyncmon, t.pid)
    after = {x["name"] for x in asyncmon.json("ps", t.pid, "--all")["tasks"]}
    assert before and after == before


def test_texts_of_the_killed(interp, target, asyncmon):
    """Those who were killed left texts that nothing woke the loop for: they are no hindrance,
    and what they make when they run is closed."""
    t = target(interp, "stuck.py", 0)
    os.kill(t.pid, signal.SIGSTOP)
    assert wait_for(lambda: proc_status(t.pid)["State"][0] == "T")
    for _ in range(12):
        p = subprocess.Popen([ASYNCMON, "inject", str(t.pid)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(0.15)
        p.kill()
        p.wait()
    assert no_channel(t.pid)
    # They leave no room for another, which is not why it does not run.
    answer = asyncmon("inject", t.pid, "--timeout", "300ms")
    assert answer.rc == 3 and "stopped" in answer.err, answer
    os.kill(t.pid, signal.SIGCONT)
    inject(asyncmon, t.pid)
    assert asyncmon.json("ps", t.pid)["target"]["agent"]
    assert wait_for(lambda: no_channel(t.pid))
    t.unharmed()


CHANNEL = """import os
f = os.open(%r, os.O_RDWR | os.O_CREAT | os.O_EXCL)
os.unlink(%r)
os.write(f, b"#asyncmon-channel 0000000000000000")
import asyncio
print(os.getpid(), flush=True)
async def main():
    while True:
        os.utime(f)
        await asyncio.sleep(0.05)
asyncio.run(main())
"""


def test_a_channel_that_stays_young(python, asyncmon, tmp_path):
    """What may be another's is waited for, but not for ever, and not closed."""
    path = str(tmp_path / "file")
    p = subprocess.Popen(python.argv + ["-c", CHANNEL % (path, path)], stdout=subprocess.PIPE)
    pid = int(p.stdout.readline())
    try:
        assert asyncmon("inject", pid, "--timeout", "2").rc == 0
        assert asyncmon.json("inject", pid, "--timeout", "2")["outcome"] == "running"
        assert any(path in os.readlink("/proc/%d/fd/%s" % (pid, fd))
                   for fd in os.listdir("/proc/%d/fd" % pid))
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_main_thread_in_c(interp, target, asyncmon):
    t = target(interp, "stuck.py", 3)
    answer = asyncmon("inject", t.pid, "--timeout", "500ms")
    assert answer.rc == 3 and "blocked" in answer.err, answer
    assert asyncmon("ps", t.pid).rc == 0
    t.unharmed()
    time.sleep(3)
    inject(asyncmon, t.pid)
    assert asyncmon.json("ps", t.pid)["target"]["agent"]


def test_loop_in_another_thread(interp, target, asyncmon):
    t = target(interp, "stuck.py", "thread")
    answer = asyncmon("inject", t.pid, "--timeout", "2")
    if interp.minor >= (3, 12):
        assert answer.rc == 0, answer.err
    else:
        # Only the main thread serves its queue, and it waits for a lock.
        for command in ("inject", "console"):
            answer = asyncmon(command, t.pid)
            assert answer.rc == 3, answer
            assert re.search(r"main thread is blocked in \S+ \S+threading\.py:\d+, and Python before 3\.12 runs",
                             answer.err), answer
    t.unharmed()


def test_what_it_does_not_cover(interp, target, asyncmon):
    """Interpreters of their own, limits that come too late: said."""
    if interp.minor < (3, 12):
        pytest.skip("its interpreters share their types")
    t = target(interp, "subinterp.py")
    said = inject(asyncmon, t.pid).err
    assert "Tasks of subinterpreters are not recorded" in said and "--history" not in said
    assert "keeps the limits" in inject(asyncmon, t.pid, "--history", 9).err
    assert "subinterpreters" not in inject(asyncmon, t.pid, "--remove").err
    recorded = {x["name"]: x["serial"] for x in asyncmon.json("ps", t.pid)["tasks"]}
    assert recorded["in-subinterpreter"] is None
    t.unharmed()


def test_idle_uvloop(interp, target, asyncmon):
    if not interp.has_uvloop:
        pytest.skip("it has no uvloop")
    inject(asyncmon, target(interp, "stuck.py", 0, "uvloop").pid)


def test_hidden_names(interp, target, asyncmon):
    """What runs in the target does not depend on what its __main__ calls exec."""
    t = target(interp, "stuck.py", 0, "hidden")
    inject(asyncmon, t.pid)
    assert asyncmon.json("ps", t.pid)["target"]["agent"]
    inject(asyncmon, t.pid, "--remove")
    assert t.stderr() == ""


def test_near_the_recursion_limit(interp, target, asyncmon):
    """A text that cannot even begin would break the program: asyncmon waits."""
    t = target(interp, "wary.py", "deep")
    answer = asyncmon("inject", t.pid, "--timeout", "300ms")
    assert answer.rc == 3 and "recursion limit" in answer.err, answer
    inject(asyncmon, t.pid)
    assert asyncmon.json("ps", t.pid)["target"]["agent"]
    assert t.stderr() == ""


def test_audit_hook(interp, target, asyncmon):
    """What the hook forbids would be an error of the program's: refused beforehand."""
    t = target(interp, "wary.py", "audit")
    answer = asyncmon("inject", t.pid, "--timeout", "2")
    assert answer.rc == 3 and "audit hook" in answer.err, answer
    assert t.stderr() == ""
    assert asyncmon("ps", t.pid).rc == 0


def test_no_memory_left(interp, target, asyncmon):
    t = target(interp, "wary.py", "memory")
    answer = asyncmon("inject", t.pid, "--timeout", "300ms")
    assert answer.rc == 3 and "no memory left" in answer.err, answer
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(t.pid, resource.RLIMIT_AS, unlimited)
    inject(asyncmon, t.pid)


def test_no_descriptor_left(python, target, asyncmon):
    answer = asyncmon("inject", target(python, "wary.py", "files").pid, "--timeout", "1")
    assert answer.rc == 3 and "descriptor" in answer.err, answer


# A user's own namespaces, in which a folder of somebody else's lies over /dev/shm of the
# root. That is bound to a place that every user may reach beforehand.
REACHED = 'mount --bind "$0" "$1" && shift && cd / && exec "$@"'
BOUND = 'mount --bind "$0" "$1/dev/shm" && root="$1" && shift 3 && exec chroot "$root" "$@"'


@pytest.mark.parametrize("end", ["waits", "killed"])
def test_folder_of_another(interp, target, asyncmon, tmp_path, end):
    """No file of the target's user appears in a folder that he may not write to, be it
    that he made it the /dev/shm of the process: neither while inject waits, nor after."""
    if os.getuid() != 0 or not interp.root:
        pytest.skip("needs root, and an interpreter that another user can use")
    unshare("-Urm")
    top = "/tmp/asyncmon-bound-%d" % os.getpid()
    folder, root = top + "/folder", top + "/root"
    os.makedirs(folder, 0o755)
    os.mkdir(root)
    try:
        t = target(interp, "stuck.py", "5", prefix=unshare("-m") + [
            "sh", "-c", REACHED, interp.root, root,
            "setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "unshare", "-Urm",
            "sh", "-c", BOUND, folder, root])
        p = subprocess.Popen([ASYNCMON, "inject", str(t.pid), "--timeout", "20"])
        # It has stopped the target and waits for it to look.
        seen = set()
        end_at = time.monotonic() + 1
        while time.monotonic() < end_at:
            seen |= set(os.listdir(folder))
            time.sleep(0.005)
        if end == "killed":
            p.kill()
        assert p.wait() == (-signal.SIGKILL if end == "killed" else 0)
        assert seen == set() and os.listdir(folder) == []
        inject(asyncmon, t.pid)
        assert asyncmon.json("ps", t.pid)["target"]["agent"]
    finally:
        shutil.rmtree(top)


def test_nowhere_to_write(interp, target, asyncmon):
    """The target's user may write nowhere, which is not needed."""
    if os.getuid() != 0 or not interp.root:
        pytest.skip("needs root, and an interpreter that another user can use")
    folder = interp.root + "/dev/shm"
    mode = os.stat(folder).st_mode & 0o7777
    os.chmod(folder, 0o755)
    try:
        t = target(interp, "wary.py", "user")
        before = set(os.listdir(folder))
        inject(asyncmon, t.pid)
        assert asyncmon.json("ps", t.pid)["target"]["agent"]
        assert [f for f in set(os.listdir(folder)) - before if "asyncmon" in f] == []
    finally:
        os.chmod(folder, mode)


def test_stopped(python, target, asyncmon):
    t = target(python, "stuck.py", 0)
    os.kill(t.pid, signal.SIGSTOP)
    time.sleep(0.1)
    answer = asyncmon("inject", t.pid, "--timeout", "300ms")
    assert answer.rc == 3 and "stopped" in answer.err
    os.kill(t.pid, signal.SIGCONT)
    inject(asyncmon, t.pid)


def test_pid_and_mount_namespace(interp, target, asyncmon):
    t = target(interp, "stuck.py", 0, prefix=unshare("-p", "-f", "-m", "--mount-proc"))
    inject(asyncmon, t.pid)
    assert asyncmon.json("ps", t.pid)["target"]["agent"]
    assert asyncmon.json("inject", t.pid)["outcome"] == "running"


READ_ONLY = ('mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"')


@pytest.mark.parametrize("proc", [True, False])
def test_read_only_root(interp, target, asyncmon, proc):
    """With /proc the agent comes through a memfd; without it there is no way, said so."""
    if not interp.root:
        pytest.skip("it has no root of its own")
    script = READ_ONLY
    if proc:
        script = 'mount --bind /proc "$0/proc" && ' + READ_ONLY.replace("--bind", "--rbind")
    t = target(interp, "stuck.py", 0, prefix=unshare("-m") + ["sh", "-c", script, interp.root])
    answer = asyncmon("inject", t.pid)
    if proc:
        assert answer.rc == 0, answer.err
    else:
        assert answer.rc == 3 and "No usable temporary directory" in answer.err, answer
    t.unharmed()


def test_another_user(asyncmon, tmp_path):
    python = "/usr/bin/python3.11"
    if os.getuid() != 0 or not os.path.exists(python):
        pytest.skip("needs root and a Python that all may run")
    folder = "/tmp/asyncmon-user-%d" % os.getpid()
    os.mkdir(folder, 0o755)
    try:
        shutil.copy(os.path.join(TARGETS, "stuck.py"), folder)
        p = subprocess.Popen(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", python,
                              folder + "/stuck.py", "0"], stdout=subprocess.PIPE)
        p.stdout.readline()
        inject(asyncmon, p.pid)
        assert asyncmon.json("ps", p.pid)["target"]["agent"]
        p.kill()
        p.wait()
        p.stdout.close()
    finally:
        shutil.rmtree(folder)


def test_no_asyncio(python, asyncmon):
    p = subprocess.Popen(python.argv + ["-c", "import time; print(1, flush=True); time.sleep(1000)"],
                         stdout=subprocess.PIPE)
    p.stdout.readline()
    answer = asyncmon("inject", p.pid)
    p.kill()
    p.wait()
    p.stdout.close()
    assert answer.rc == 4


def vm_size(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[0]) * 4096


def test_little_memory(main_interp, target, asyncmon):
    """The agent is small where the process may not take much more, and says so."""
    t = target(main_interp, "actors.py")
    left = 90 << 20
    before = vm_size(t.pid)
    resource.prlimit(t.pid, resource.RLIMIT_AS, (before + left, before + left))
    answer = inject(asyncmon, t.pid)
    assert "The agent uses " in answer.err, answer
    assert vm_size(t.pid) - before < left / 3
    inject(asyncmon, t.pid, "--remove")
    # What the user asks for is not made smaller in silence.
    t = target(main_interp, "actors.py")
    before = vm_size(t.pid)
    resource.prlimit(t.pid, resource.RLIMIT_AS, (before + left, before + left))
    answer = asyncmon("inject", t.pid, "--memory", "60")
    assert answer.rc == 3 and "--memory asks for more than half" in answer.err, answer


def test_few_descriptors(target, asyncmon, python):
    t = target(python, "actors.py")
    n = len(os.listdir("/proc/%d/fd" % t.pid))
    resource.prlimit(t.pid, resource.RLIMIT_NOFILE, (n + 4, n + 64))
    for command in (["inject"], ["cancel", "willing"], ["console", "-c", "1"]):
        answer = asyncmon(command[0], t.pid, *command[1:])
        assert answer.rc == 3 and "descriptors" in answer.err and "nothing was changed" in answer.err, answer
    resource.prlimit(t.pid, resource.RLIMIT_NOFILE, (n + 64, n + 64))
    assert asyncmon.json("cancel", t.pid, "willing")["outcome"] == "cancelled"


def test_small_files_only(target, asyncmon, python):
    """A memfd is a file to RLIMIT_FSIZE, and SIGXFSZ ends a process."""
    t = target(python, "actors.py")
    resource.prlimit(t.pid, resource.RLIMIT_FSIZE, (8192, 8192))
    answer = asyncmon("inject", t.pid)
    assert answer.rc == 3 and "8192 bytes" in answer.err, answer
    assert asyncmon.json("cancel", t.pid, "willing")["outcome"] == "cancelled"
