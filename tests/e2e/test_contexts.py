"""Which context managers frames are inside of, and who holds what others wait for,
against the account that the targets' own managers and locks keep."""


def contexts(task):
    return [[c["id"], c["mode"], c["sync"], c["line"]]
            for f in task["stack"] for c in f["contexts"]]


def test_contexts(asyncmon, target, interp):
    t = target(interp, "contexts.py")
    answer = asyncmon.json("ps", t.pid)
    assert answer["complete"], answer["notes"]
    told = t.truth["contexts"]
    seen = {x["name"]: contexts(x) for x in answer["tasks"] if x["name"] in told}
    assert len(told) >= 10
    assert seen == told


def test_where_shows_them(asyncmon, target, python):
    t = target(python, "contexts.py")
    a = asyncmon("where", t.pid, "deep")
    assert a.rc == 0, a.err
    told = t.truth["contexts"]["deep"]
    shown = [line.strip() for line in a.out.splitlines()
             if line.strip().startswith("inside ")]
    assert len(shown) == len(told) == 3
    for line, (_, _, _, number) in zip(shown, told):
        assert line.endswith("(line %d)" % number), (line, number)


def by_object(answer, key):
    return {t["waiting_on"]["id"]: t["waiting_on"][key] for t in answer["tasks"]
            if t["waiting_on"]}


def test_holders(asyncmon, target, interp):
    """Every lock and semaphore of the target, waited for by one task each."""
    t = target(interp, "holders.py")
    answer = asyncmon.json("ps", t.pid)
    assert answer["complete"], answer["notes"]
    seen = by_object(answer, "holders")
    told = t.truth["held"]
    assert len(told) >= 8
    for name, x in told.items():
        assert x["id"] in seen, name
        holders = seen[x["id"]]
        if x["holders"] is None:
            assert holders is None, name
            continue
        assert holders is not None, name
        assert ({(h["task"], h["generator"], h["line"]) for h in holders}
                == {(h["task"], h["generator"], h["line"]) for h in x["holders"]}), name


def test_holds_column(asyncmon, target, python):
    t = target(python, "holders.py")
    a = asyncmon("ps", t.pid, "--raw", "--noheadings", "-o", "name,holds")
    assert a.rc == 0, a.err
    rows = dict(line.split(" ", 1) for line in a.out.splitlines())
    assert rows["plain"] == "Lock"
    assert rows["waits-plain"] == "-"
