"""trace: what it tells against what the target says that its tasks did."""
import json
import os
import random
import signal
import subprocess
import time

import agentmemory
import pytest
import schema
from conftest import ASYNCMON, INTERPS, OWN, call, some, usable, wait_for


@pytest.fixture(params=some("pyenv-3.9", "pyenv-3.12", "sid-3.14", "ft-3.13t", OWN))
def traceable(request):
    return usable(INTERPS[request.param])


class Trace:
    """A trace that runs; its first line says that it does."""

    def __init__(self, pid, *args):
        self.proc = subprocess.Popen([ASYNCMON, "trace", str(pid), "--json", *args], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0)
        self.head = self.proc.stdout.readline().decode()
        assert self.head, self.proc.stderr.read().decode()

    def end(self, number=signal.SIGINT):
        self.proc.send_signal(number)
        out, err = self.proc.communicate(timeout=30)
        return self.head + out.decode("utf-8", "strict"), err.decode(), self.proc.returncode


def injected(start, interp, *args):
    t = start(interp, "traced.py", *args)
    answer = call("inject", t.pid)
    assert answer.rc == 0, answer.err
    return t


def play(t):
    """A round; what it was like."""
    os.kill(t.pid, signal.SIGUSR1)
    line = t.line(60)
    assert line, t.stderr()
    return json.loads(line)


def traced_round(t, *args):
    trace = Trace(t.pid, *args)
    truth = play(t)
    text, err, rc = trace.end()
    schema.hold_text(("trace",), text)
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0]["event"] == "trace" and lines[-1]["event"] == "end"
    assert (rc, lines[-1]["lost"], lines[-1]["ended"]) == (0, 0, "interrupted"), (rc, err, lines[-1])
    return truth, lines[1:-1], lines[0]


def of(lines, name, kind):
    return [e for e in lines if e["name"] == name and e["event"] == kind]


def test_it_tells_what_happened(traceable, target):
    t = injected(target, traceable)
    truth, lines, head = traced_round(t)
    assert head["target"]["agent"] and len(truth) == 17
    # Up to 3.13 loops give a task its name once it is made: what it did is told by its serial.
    serial = {e["name"]: e["serial"] for e in lines}
    for name, was in truth.items():
        mine = [e for e in lines if e["serial"] == serial[name]]
        kinds = [e["event"] for e in mine]
        assert kinds.count("created") == 1 and kinds[0] == "created", name
        if was["steps"] is not None:
            assert kinds.count("begun") == was["steps"], (name, was, kinds)
        assert kinds.count("suspended") == kinds.count("begun") - 1 > 0, (name, was, kinds)
        assert all(e["delay"] is not None and e["delay"] >= 0 for e in mine if e["event"] == "begun"), (name, mine)
        assert mine[0]["by"]["name"] == was["by"], name
        assert mine[0]["stack"][-1]["function"].endswith("create_task"), mine[0]
        assert mine[0]["coro"] == "life"
        asked = [e["by"]["name"] for e in mine if e["event"] == "cancel-requested"]
        assert asked == was["cancels"], name
        end, = [e for e in mine if e["event"] == "ended"]
        assert end["outcome"] == was["outcome"], name
        assert kinds[-1] == "ended" and end["lifetime"] > 0
        if was["outcome"] == "failed":
            assert end["exception"] == {"type": was["type"], "message": was["message"]}
        else:
            assert end["exception"] is None
    # Nothing is told of tasks that were not there.
    others = {e["name"] for e in lines} - set(truth)
    assert all(name == "Task-1" or name.startswith("Task-") for name in others), others


def test_who_made_it_ready(traceable, target):
    t = injected(target, traceable)
    _, lines, _ = traced_round(t)
    ready, = of(lines, "waiter", "ready")
    assert ready["by"]["name"] == "setter" and ready["how"] == "result" and ready["origin"] == "task"
    ready, = of(lines, "awaiter", "ready")
    assert ready["by"]["name"] == "failing" and ready["how"] == "end" and ready["origin"] == "end"
    ready, = of(lines, "victim", "ready")
    assert ready["by"]["name"] == "canceller" and ready["how"] == "cancelled"
    for name in ("sleeper \u00e9", "told"):
        ready, = of(lines, name, "ready")
        assert ready["by"] is None and ready["origin"] == "callback" and ready["how"] == "result", name


def test_where_it_is_suspended(traceable, target):
    t = injected(target, traceable)
    truth, lines, _ = traced_round(t)

    def at(name):
        event = of(lines, name, "suspended")[0]
        return event, [f["function"].split(".")[-1] for f in event["stack"]]
    event, functions = at("plain waiter")
    assert functions[0] == "life" and functions[-2:] == ["waits_for", "wait"] and event["on"] == "future"
    assert event["stack"][-2]["file"].endswith("traced.py") and event["stack"][-2]["line"] > 1
    event, functions = at("plain awaiter")
    assert event["on"] == "task" and event["on_task"]["name"] == "failing" and functions[-1] == "awaits"
    event, functions = at("plain yielder")
    assert event["on"] == "nothing" and "yields" in functions
    assert all(e["step"] > 0 for e in lines if e["event"] == "suspended" and e["name"] in truth)


def test_filters(python, target):
    t = injected(target, python)
    truth, lines, _ = traced_round(t, "-f", "child-", "--events", "created,ended")
    assert {e["name"] for e in lines} == {n for n in truth if n.startswith("child-")}
    assert {e["event"] for e in lines} <= {"created", "ended"}
    assert [e["event"] for e in lines].count("ended") == 4
    _, lines, _ = traced_round(t, "--coro", "nothing*")
    assert lines == []
    _, lines, _ = traced_round(t, "--created", "traced.py:*")
    assert len({e["serial"] for e in lines}) == len(truth)


def test_summary(traceable, target):
    t = target(traceable, "traced.py", "crowd", 30)
    assert call("inject", t.pid).rc == 0
    trace = Trace(t.pid, "--summary")
    steps = sum(task["steps"] for task in play(t).values()) + sum(task["steps"] for task in play(t).values())
    text, err, rc = trace.end()
    schema.hold_text(("trace",), text)
    head, end = [json.loads(line) for line in text.splitlines()]
    assert rc == 0 and end["lost"] == 0, err
    life, = [row for row in end["summary"] if row["coro"] == "life"]
    assert steps == 121 and (life["created"], life["finished"], life["failed"]) == (61, 60, 0)
    for what in ("steps", "delays"):
        assert life[what]["count"] == steps == sum(b["count"] for b in life[what]["buckets"]), what
        assert 0 < life[what]["half_below"] <= life[what]["p99_below"] and life[what]["sum"] > 0
    trace = subprocess.Popen([ASYNCMON, "trace", str(t.pid), "--summary", "--for", "1s"], stdout=subprocess.PIPE)
    while trace.poll() is None:
        play(t)
    lines = trace.stdout.read().decode().splitlines()
    trace.stdout.close()
    row, = [line.split() for line in lines if line.startswith("life ")]
    assert lines[0].split()[:5] == ["CORO", "MADE", "FAILED", "CANCELS", "STEPS"] and int(row[4]) > 0


def test_without_an_agent(python, target, asyncmon):
    t = target(python, "traced.py")
    answer = asyncmon("trace", t.pid)
    assert answer.rc == 3 and "`asyncmon inject %d`" % t.pid in answer.err and not answer.out
    assert asyncmon.json("trace", t.pid, rc=3)["error"]["code"] == "unsupported"
    assert asyncmon("trace", t.pid, "--events", "nonsense").rc == 2


def test_text(python, target, tmp_path):
    t = injected(target, python)
    out = tmp_path / "trace"
    trace = subprocess.Popen([ASYNCMON, "trace", str(t.pid), "--out", str(out)])
    try:
        # The first round may begin before the trace does.
        assert wait_for(lambda: play(t) and out.exists() and "by setter (#" in out.read_text(), 60)
    finally:
        trace.terminate()
        assert trace.wait(timeout=20) == 0
    text = out.read_text()
    for part in (" ready      by setter (#", " ready      by the end of failing (#", " ready      by a callback",
                 " cancel     by canceller (#", " cancelled  after ", " failed     KeyError: 'na\u00efve', after ",
                 " created    life, by parent (#", ", until failing (#", "at waits_for ", ", in Event.wait"):
        assert part in text, part
    assert "\033" not in text


def test_a_bounded_file(python, target, tmp_path):
    t = injected(target, python)
    out = tmp_path / "trace"
    trace = subprocess.Popen([ASYNCMON, "trace", str(t.pid), "--json", "--out", str(out), "--max-size", "8K"],
                             stderr=subprocess.PIPE)
    while trace.poll() is None:
        play(t)
    assert trace.returncode == 0 and b"as large as --max-size" in trace.stderr.read()
    trace.stderr.close()
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert 4096 < out.stat().st_size <= 8192 and lines[-1]["ended"] == "size"
    assert lines[-1]["events"] == len(lines) - 2


def test_what_was_lost_is_said(python, target):
    t = target(python, "traced.py", "crowd", 3000)
    assert call("inject", t.pid, "--memory", "1").rc == 0
    trace = Trace(t.pid)
    # The ring is for a tenth of what happens while the reader stands still.
    os.kill(trace.proc.pid, signal.SIGSTOP)
    play(t)
    os.kill(trace.proc.pid, signal.SIGCONT)
    play(t)
    text, err, rc = trace.end()
    lines = [json.loads(line) for line in text.splitlines()]
    assert rc == 5 and ("overwritten before they were read" in err or "did not renew its lease" in err), err
    assert lines[-1]["lost"] > 0 and any(e["event"] == "lost" and e["count"] > 0 for e in lines)
    # Numbers tell events that are whole from those that are not: nothing is made up.
    schema.hold_text(("trace",), text)


def test_the_end_of_the_target(python, target):
    t = injected(target, python)
    trace = Trace(t.pid)
    t.dead = True
    os.kill(t.pid, signal.SIGKILL)
    out, err = trace.proc.communicate(timeout=20)
    assert trace.proc.returncode == 0 and b"has ended" not in out
    assert json.loads(out.splitlines()[-1])["ended"] == "gone", err


def test_the_agent_is_switched_off(python, target):
    t = injected(target, python)
    trace = Trace(t.pid)
    assert call("inject", "--remove", t.pid).rc == 0
    out, err = trace.proc.communicate(timeout=20)
    assert trace.proc.returncode == 0 and json.loads(out.splitlines()[-1])["ended"] == "off", err


def test_readers_that_are_killed(traceable, target):
    """They leave a target that runs on, and which soon writes nothing more."""
    t = target(traceable, "traced.py", "crowd", 100)
    assert call("inject", t.pid).rc == 0
    memory = agentmemory.Memory(t.pid)
    rng = random.Random(4)
    for _ in range(12):
        trace = subprocess.Popen([ASYNCMON, "trace", str(t.pid), "--json"], stdout=subprocess.DEVNULL)
        try:
            os.kill(t.pid, signal.SIGUSR1)
            # At any instant: of the look, of its first lease, of reading.
            trace.wait(timeout=rng.uniform(0, 0.3))
        except subprocess.TimeoutExpired:
            trace.kill()
            trace.wait()
        assert len(json.loads(t.line(60))) in (100, 101)
        t.unharmed()
    assert memory.events()["head"] > 0
    assert wait_for(lambda: memory.events()["until"] < time.monotonic_ns(), 20)
    head = memory.events()["head"]
    assert len(play(t)) == 100
    assert memory.events() == dict(memory.events(), head=head, until=0)
    memory.close()


def test_a_ring_that_is_scribbled_on(python, target):
    """Whatever is in it, what is told is JSON as the schema has it, and ends."""
    t = target(python, "traced.py", "crowd", 50)
    assert call("inject", t.pid, "--memory", "1").rc == 0
    memory = agentmemory.Memory(t.pid)
    rng = random.Random(5)
    seen = 0
    for turn in range(12):
        trace = Trace(t.pid)
        play(t)
        ring = memory.events()
        at, size = ring["addr"] - memory.start, ring["capacity"] * ring["slot_size"]
        for _ in range(300):
            # Near what is read now: bytes of any value, slots copied over others.
            slot = (ring["head"] + rng.randrange(-80, 200)) % ring["capacity"] * 64
            memory.write(at + slot + rng.randrange(0, 56), rng.choice((
                rng.getrandbits(64).to_bytes(8, "little"), bytes(8), b"\xff" * 8,
                memory.read(at + rng.randrange(0, size - 8), 8))))
        os.kill(t.pid, signal.SIGUSR1)
        if turn % 4 == 3:
            memory.write(agentmemory.AT_EVENTS + 8, rng.choice((
                (0).to_bytes(8, "little"), (1 << 63).to_bytes(8, "little"),
                (ring["head"] + (1 << 30)).to_bytes(8, "little"))))
        assert t.line(60)
        text, err, rc = trace.end()
        assert rc in (0, 3, 5), (rc, err)
        lines = [json.loads(line) for line in text.splitlines()]
        schema.hold_text(("trace",), "\n".join(map(json.dumps, lines)))
        seen += len(lines)
        if turn % 4 == 3:
            memory.write(agentmemory.AT_EVENTS + 8, ring["head"].to_bytes(8, "little"))
    assert seen > 100
    memory.close()


def test_two_readers(python, target):
    t = injected(target, python)
    other = Trace(t.pid)
    truth, lines, _ = traced_round(t)
    # The end of one is none of the other's.
    again = play(t)
    text, err, rc = other.end()
    assert rc == 0, err
    ended = [e["name"] for e in map(json.loads, text.splitlines()) if e["event"] == "ended"]
    assert sum(name in truth for name in ended) == 2 * len(truth) and set(truth) == set(again)


def test_how_long_steps_took(traceable, target, asyncmon):
    t = target(traceable, "traced.py", "crowd", 40)
    assert call("inject", t.pid).rc == 0
    ran = 0
    for _ in range(3):
        ran += sum(task["steps"] for task in play(t).values())
    stayer, = asyncmon.json("ps", t.pid, "-f", "stayer")["tasks"]
    steps = stayer["stats"]["coroutine_steps"]
    assert ran == 241 and steps["count"] == ran
    assert sum(b["count"] for b in steps["buckets"]) == ran
    bounds = [b["below"] or float("inf") for b in steps["buckets"]]
    assert bounds == sorted(bounds)
    # Each took at least half of the bound of its bucket, but for the first.
    least = sum(b["count"] * b["below"] / 2 for b in steps["buckets"] if b["below"] and b["below"] > 2e-6)
    most = sum(b["count"] * (b["below"] or 1e9) for b in steps["buckets"])
    assert least <= steps["sum"] <= most and 0 < steps["half_below"] <= steps["p99_below"]
    assert "all tasks of life: 241 steps, half below " in asyncmon("where", t.pid, "stayer").out


# ---- Perfetto ----

def fields(data):
    """The fields of a protobuf message: (number, value), a value being an int or bytes."""
    at = 0

    def varint():
        nonlocal at
        v = shift = 0
        while True:
            v |= (data[at] & 0x7f) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 0x80:
                return v
    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 1:
            yield key >> 3, data[at:at + 8]
            at += 8
        else:
            assert key & 7 == 2, key
            n = varint()
            assert at + n <= len(data)
            yield key >> 3, data[at:at + n]
            at += n


def perfetto_of(t, out):
    """The packets of a round, as dicts of their fields."""
    trace = Trace(t.pid)  # tells when the other one may begin
    other = subprocess.Popen([ASYNCMON, "trace", str(t.pid), "--format", "perfetto", "--out", str(out)])
    assert wait_for(lambda: out.exists() and out.stat().st_size, 30)
    truth = play(t)
    other.send_signal(signal.SIGINT)
    assert other.wait(timeout=30) == 0
    trace.end()
    return truth, [dict(fields(packet)) for number, packet in fields(out.read_bytes()) if number == 1]


def test_perfetto(traceable, target, tmp_path):
    t = injected(target, traceable)
    truth, packets = perfetto_of(t, tmp_path / "trace.pftrace")
    tracks = {}
    for p in packets:
        if 60 in p:
            d = dict(fields(p[60]))
            tracks[d[1]] = d.get(2, b"").decode()
    named = {name.rsplit(" (#", 1)[0]: uuid for uuid, name in tracks.items()}
    events = [(p, dict(fields(p[11]))) for p in packets if 11 in p]
    assert all(p[8] > 0 and p[10] == 1 for p, _ in events)
    BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4
    for name, was in truth.items():
        mine = [e for _, e in events if e.get(11) == named[name]]
        begun = [e[9] for e in mine].count(BEGIN)
        assert begun == [e[9] for e in mine].count(END) and was["steps"] in (begun, None), name
        instants = [e[23].decode() for e in mine if e[9] == INSTANT]
        assert "created" in instants and was["outcome"] in instants, name
    ready = [e[30] for _, e in events if e[9] == COUNTER and tracks[e[11]] == "ready"]
    tasks = [e[30] for _, e in events if e[9] == COUNTER and tracks[e[11]] == "tasks"]
    assert max(tasks) >= 14 and min(tasks) >= 1 and 0 <= min(ready) and max(ready) >= 10
    # Each arrow that ends has begun, on the track of who did it.
    begun = {e[47]: tracks[e[11]].rsplit(" (#", 1)[0] for _, e in events if 47 in e}
    ended = {e[48]: tracks[e[11]].rsplit(" (#", 1)[0] for _, e in events if 48 in e}
    assert ended and set(ended) <= set(begun)
    pairs = {(begun[flow], ended[flow]) for flow in ended}
    assert {("setter", "waiter"), ("failing", "awaiter"), ("canceller", "victim"), ("parent", "child-0")} <= pairs


def test_perfetto_by_its_own_definitions(python, target, tmp_path):
    pb2 = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    from google.protobuf import unknown_fields
    t = injected(target, python)
    truth, packets = perfetto_of(t, tmp_path / "trace.pftrace")
    trace = pb2.Trace()
    trace.ParseFromString((tmp_path / "trace.pftrace").read_bytes())
    assert len(trace.packet) == len(packets)
    tracks = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")}
    assert [d.process.pid for d in tracks.values() if d.HasField("process")] == [t.pid]
    assert {d.name for d in tracks.values() if d.HasField("counter")} == {"tasks", "ready"}
    names = {d.name.rsplit(" (#", 1)[0] for d in tracks.values()}
    assert set(truth) <= names
    for p in trace.packet:
        if p.HasField("track_event"):
            assert p.track_event.track_uuid in tracks and p.timestamp
            assert p.track_event.type in range(1, 5)
            assert not len(unknown_fields.UnknownFieldSet(p.track_event))
    assert any(a.name == "delay_us" and a.double_value > 0 for p in trace.packet
               for a in p.track_event.debug_annotations)
