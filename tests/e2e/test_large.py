"""Much of something: what the answer and the pause must not suffer from."""
import re
import subprocess

import pytest

from compare import by_id
from conftest import ASYNCMON, wait_for


def test_awaited_by_thousands(asyncmon, main_interp, target):
    t = target(main_interp, "awaited.py", 5000)
    answer = asyncmon.json("ps", t.pid)
    others = by_id(answer)[t.truth["id"]]["awaited_by"]
    # And by the main task.
    assert len(others) == len(set(others)) == 10001
    main = [x["id"] for x in answer["tasks"] if x["coro"] == "main"]
    assert sum(int(x, 16) for x in others) == \
        t.truth["sum"] + int(main[0], 16)


def test_a_large_heap_is_not_copied_for_a_few_busy_tasks(asyncmon, main_interp,
                                                         target):
    t = target(main_interp, "bigheap.py", 600)
    for _ in range(5):
        a = asyncmon("ps", "--stats", "--raw", t.pid)
        assert a.rc in (0, 5), (a.rc, a.err)
        assert t.truth["waiting"] in a.out
        copied = int(re.search(r"(\d+) copied", a.err).group(1))
        assert copied < 300 << 20, a.err


def test_memory_runs_out_for_us_first(python, target):
    """Where target and asyncmon share a limit, the kernel ends asyncmon."""
    t = target(python, "blocked.py")
    p = subprocess.Popen([ASYNCMON, "attach", str(t.pid)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def yields():
        with open("/proc/%d/oom_score_adj" % p.pid) as f:
            return f.read() == "1000\n"
    try:
        assert wait_for(yields, 10)
    finally:
        p.communicate(b"exit\n", timeout=20)


@pytest.mark.parametrize("kind", ["private", "shared", "many", "beside"])
def test_terabytes_reserved_hide_nothing(asyncmon, main_interp, target, kind):
    t = target(main_interp, "reserve.py", kind)
    a = asyncmon.json("ps", t.pid)
    assert a["complete"] and not a["notes"], a["notes"]
    assert len(a["tasks"]) == t.truth["count"] == 3001
