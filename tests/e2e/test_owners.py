"""Whose code a frame runs: WHERE is the user's own, and a folder called asyncio is not
asyncio for that."""


def where(asyncmon, t, *options):
    a = asyncmon("ps", t.pid, "--raw", "--noheadings", "-o", "name,file,kind", *options)
    assert a.rc == 0, a.err
    return {row[0]: row[1:] for row in map(str.split, a.out.splitlines()) if row[0] != "Task-1"}


def test_where(interp, shared, asyncmon):
    t = shared(interp, "owners.py")
    mine, pool = "/srv/mylib/asyncio/tasks.py", "/srv/venv/lib/python3/site-packages/redis/asyncio/pool.py"
    rows = where(asyncmon, t)
    assert rows["mine"][0] == rows["mine-by-library"][0] == mine
    assert rows["library"][0] == pool
    assert rows["library-by-user"][0] == rows["standard-library"][0] == t.folder + "/owners.py"
    assert rows["asyncio-alone"][0].endswith("/asyncio/locks.py")
    # A function called sleep, in a file asyncio/tasks.py, is not asyncio.sleep().
    assert {row[1] for row in rows.values()} == {"event"}
    inner = where(asyncmon, t, "--where", "innermost")
    assert inner["library-by-user"][0] == pool and inner["mine"][0] == mine
    assert asyncmon("ps", t.pid, "--where", "there").rc == 2
    said = asyncmon("ps", t.pid, "-v").err
    folder = rows["asyncio-alone"][0].rsplit("/", 1)[0]
    assert "code in %s is asyncio's, in %s the standard library's" % (folder, folder.rsplit("/", 1)[0]) in said
