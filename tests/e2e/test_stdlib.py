"""The same tasks and stacks as the standard library's own `asyncio ps`."""
import re
import subprocess

import pytest

from compare import by_id
from conftest import INTERPS, some, unshare, usable

# Where the standard library's reader is right: it knows neither running
# tasks' stacks nor generators, asyncs generators' hops, wrappers.
TAGS = ("sleep future inner outer gather gather-0 gather-1 gather-2 wait "
        "wait-0 wait-1 wait-2 wait_for shield shielded lock event condition "
        "semaphore queue-get queue-put queue-join stream-read stream-write "
        "socket executor subprocess nested stubborn subclass deferred "
        "thread-sleep").split()


def stdlib_ps(t):
    p = subprocess.run(
        ["nsenter", "-t", str(t.pid), "-m", "-r", t.interp.argv[-1], "-m",
         "asyncio", "ps", str(t.truth["pid"])], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=60)
    out = {}
    for line in p.stdout.decode("utf-8", "replace").splitlines():
        m = re.match(r"(\d+)\s+(0x[0-9a-f]+)\s+(\S+)\s+(.*)", line)
        if m:
            cells = re.split(r"\s{2,}", m.group(4).strip())
            out[m.group(2)] = {
                "thread": int(m.group(1)), "name": m.group(3),
                "stack": cells[0].split(" -> ")[::-1],
                "by": cells[-1]}
    if not out:
        pytest.skip("python -m asyncio ps: "
                    + p.stderr.decode("utf-8", "replace")[-300:])
    return out


@pytest.mark.parametrize("name", some("sid-3.14", "sid-3.15"))
def test_same_as_stdlib(asyncmon, target, name):
    interp = usable(INTERPS[name])
    if interp.minor < (3, 14):
        pytest.skip("it has no asyncio ps")
    t = target(interp, "shapes.py", prefix=unshare("-m") + [
        "sh", "-c",
        'mount --bind /proc "$0/proc" && exec "$@"', interp.root]
        if interp.root else [])
    theirs = stdlib_ps(t)
    ours = by_id(asyncmon.json("ps", t.pid))
    compared = 0
    for tag in TAGS:
        i = t.tagged(tag)["id"]
        if i not in theirs:
            # 3.14 shows nothing of loops in other threads.
            assert tag == "thread-sleep", tag
            continue
        them, us = theirs[i], ours[i]
        assert [f["function"] for f in us["stack"]] == them["stack"], tag
        assert us["name"] == them["name"] and us["thread"] == them["thread"]
        if them["by"].startswith("0x") and them["by"] != "0x0":
            assert us["awaited_by"] == [them["by"]], tag
        compared += 1
    assert compared >= len(TAGS) - 1
    assert set(theirs) <= set(ours)
