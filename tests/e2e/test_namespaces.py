"""Targets that see other pids, other files, another root."""
import json
import os

import pytest

from compare import by_id, differences
from conftest import call, unshare

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def check(t, thread=True):
    answer = json.loads(call("ps", t.pid, "--json").out)
    told, seen = t.tasks(), by_id(answer)
    if not thread:
        # The target counts its threads in its own namespace.
        for task in list(told.values()) + list(seen.values()):
            task["thread"] = None
    bad = differences(told, seen)
    assert answer["complete"] and not bad, "\n".join(bad)
    return answer


def test_pid_namespace(target, interp):
    t = target(interp, "shapes.py",
               prefix=unshare("-p", "-f", "-m", "--mount-proc"))
    assert t.pid != t.truth["pid"]
    answer = check(t, thread=False)
    # Ours count: what a caller could use on this side.
    tids = {int(x) for x in os.listdir("/proc/%d/task" % t.pid)}
    assert all(x["thread"] is None or x["thread"] in tids
               for x in answer["tasks"])


def test_mount_namespace(target, python):
    """Its executable's path leads elsewhere on our side."""
    check(target(python, "shapes.py", prefix=unshare("-m") + [
        "sh", "-c",
        'mount -t tmpfs none /mnt && cp "$1" /mnt/python && shift && '
        'exec /mnt/python "$@"', "sh"]))


def test_chroot_source_lines(target, interp):
    if not interp.root:
        pytest.skip("%s has no root of its own" % interp.name)
    t = target(interp, "shapes.py")
    a = call("where", t.pid, "condition")
    assert a.rc == 0 and "await condition.wait()" in a.out


def test_replaced_executable(target, python, tmp_path):
    """The file was removed after the start, as by an upgrade."""
    copy = tmp_path / "python-copy"
    t = target(python, "shapes.py", prefix=[
        "sh", "-c", 'cp "$2" "$1" && c="$1" && shift 2 && exec "$c" "$@"',
        "sh", str(copy)])
    copy.unlink()
    check(t)


def test_deleted_and_recreated(target, python, tmp_path):
    """Another file has its name now: it must not be read instead."""
    copy = tmp_path / "python-copy"
    t = target(python, "shapes.py", prefix=[
        "sh", "-c", 'cp "$2" "$1" && c="$1" && shift 2 && exec "$c" "$@"',
        "sh", str(copy)])
    copy.unlink()
    copy.write_bytes(b"not an executable at all")
    check(t)
