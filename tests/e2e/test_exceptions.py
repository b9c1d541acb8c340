"""What failed tasks failed with, against repr() and str() in the target."""
import json

from compare import by_id


def failed(asyncmon, t):
    tags = {x["id"]: x["tag"] for x in t.truth["tasks"]}
    answer = asyncmon.json("ps", "--all", "--state", "failed", t.pid)
    return {tags[x["id"]]: x["exception"] for x in answer["tasks"]}


def test_texts(asyncmon, shared, interp):
    t = shared(interp, "exceptions.py")
    seen = failed(asyncmon, t)
    assert len(t.truth["exceptions"]) > 30
    for name, told in t.truth["exceptions"].items():
        e = seen[name]
        assert e["type"] == told["type"], name
        assert e["repr"] == told["repr"], name
        # Where str() would have to run code of the class: how it was made.
        want = told["str"] if told["str"] is not None else told["repr"]
        assert e["message"] == want, name
    assert seen["named"]["message"] == "(<Decimal object>, 2)"
    assert seen["number"]["message"] == "<Number object>"
    assert seen["number"]["repr"] == "ValueError(3)"
    assert seen["enum"]["repr"] == "ValueError(<Enough object>)"


def test_ended(asyncmon, target, interp):
    """What the agent keeps of a failed task is what is read of one that is still there."""
    t = target(interp, "exceptions.py", "late")
    assert asyncmon("inject", t.pid).rc == 0
    t.truth = json.loads(t.line(30))
    live, ended = failed(asyncmon, t), {}
    serials = {x["serial"]: x["id"] for x in asyncmon.json("ps", "--all", t.pid)["tasks"]}
    tags = {x["id"]: x["tag"] for x in t.truth["tasks"]}
    for x in asyncmon.json("pst", t.pid)["terminated"]:
        if x["outcome"] == "failed":
            ended[tags[serials[x["serial"]]]] = x["exception"]
    assert len(ended) == len(t.truth["exceptions"]) + 3
    for tag, e in ended.items():
        if tag == "long":
            for text, whole in ((e["repr"], live[tag]["repr"]), (e["message"], live[tag]["message"])):
                assert text[-1] == "\u2026" and whole.startswith(text[:-1])
                assert 2040 < len(text.encode()) <= 2048
        else:
            assert e == live[tag], tag


def test_what_they_come_from(asyncmon, shared, interp):
    t = shared(interp, "exceptions.py")
    seen = failed(asyncmon, t)
    for name, told in t.truth["exceptions"].items():
        e = seen[name]
        got = {"notes": e["notes"], "suppress": e["suppress_context"],
               "subs": [s["repr"] for s in e["exceptions"]],
               "cause": e["cause"] and e["cause"]["repr"],
               "context": e["context"] and e["context"]["repr"],
               "lines": [f["line"] for f in e["stack"]]}
        assert got == {key: told[key] for key in got}, name
    assert seen["circle"]["context"]["context"] is None


def test_page(asyncmon, shared, main_interp):
    """The traceback of a failed task, with its source and its cause."""
    t = shared(main_interp, "exceptions.py")
    ids = {x["tag"]: x["id"] for x in t.truth["tasks"]}
    out = asyncmon("where", t.pid, ids["chained"]).out
    assert "exception    ValueError: outer\n" in out
    assert "  raised (most recent call last):\n" in out
    assert "caused by ZeroDivisionError: division by zero\n" in out
    if not main_interp.root:
        assert '      raise ValueError("outer") from e\n' in out
    out = asyncmon("where", t.pid, ids["said"]).out
    assert "exception    Said('x', {'k': 1})\n" in out
