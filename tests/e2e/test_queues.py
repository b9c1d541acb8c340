"""Who is at the other end of the queues that tasks wait at, against what the target says."""


def test_other_end(asyncmon, target, interp):
    t = target(interp, "queues.py")
    answer = asyncmon.json("why", t.pid, *t.truth["wakers"])
    assert answer["complete"], answer["notes"]
    found = {c["task"]: c["links"][0]["wait"]["wakers"] for c in answer["chains"]}
    assert set(found) == set(t.truth["wakers"])
    for task, truth in t.truth["wakers"].items():
        who = found[task]
        assert truth == (None if who is None else [h["task"] for h in who]), task
        assert all(h["function"] and h["line"] for h in who or [])


def test_join_without_consumer(asyncmon, target, main_interp):
    t = target(main_interp, "queues.py")
    answer = asyncmon.json("check", "--interval", "0.3", t.pid, rc=1)
    finding, = answer["findings"]
    assert (finding["rule"], finding["severity"]) == ("join-without-consumer", "warning")
    assert finding["tasks"] == [t.truth["alone"]]


def test_full_queue_leads_to_its_consumer(asyncmon, target, main_interp):
    t = target(main_interp, "queues.py")
    answer = asyncmon.json("why", t.pid)
    assert t.truth["consumer"] in [r["task"] for r in answer["roots"] if r["waiting"] == 1]
