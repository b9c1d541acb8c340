"""A saved look answers every question as the target does that it was taken of, which stands
still meanwhile."""
import json
import os
import signal
import stat
import subprocess

import pytest

from conftest import some, usable, wait_for, INTERPS, ASYNCMON

PYTHONS = some("pyenv-3.9", "pyenv-3.11", "pyenv-3.12", "sid-3.14")
# What goes on while a process is stopped, or is of the look and not of the target.
MOVING = {"age", "deadline_in", "paused_us", "taken_at", "kind_of_target"}
COMMANDS = [
    ("ps",), ("ps", "--all"), ("ps", "--group-by", "waiting"), ("tree",), ("where", "-f", ""),
    ("where", "--locals", "-f", ""), ("where", "--coalesce"), ("stacktrace",), ("stacktrace", "--native"),
    ("why",), ("why", "--exit"), ("flame",), ("check", "--interval", "0"),
]


def still(value):
    """Without what moves."""
    if isinstance(value, dict):
        return {k: still(v) for k, v in value.items() if k not in MOVING}
    if isinstance(value, list):
        return [still(x) for x in value]
    return value


def answer(asyncmon, target, words):
    a = asyncmon(words[0], target, *words[1:], "--json")
    found = json.loads(a.raw)
    assert "error" not in found, found
    found["target"]["kind_of_target"] = found["target"].pop("kind")
    return a.rc, still(found)


def stopped(t):
    os.kill(t.pid, signal.SIGSTOP)
    t.frozen = True
    assert wait_for(lambda: open("/proc/%d/stat" % t.pid).read().rsplit(")", 1)[1].split()[0] == "T")


@pytest.fixture(params=PYTHONS)
def saved(request, asyncmon, target, tmp_path):
    t = target(usable(INTERPS[request.param]), "shapes.py")
    stopped(t)
    file = tmp_path / "look"
    a = asyncmon("save", t.pid, file)
    assert a.rc == 0, a.err
    return t, file


def test_same_answers(asyncmon, saved):
    t, file = saved
    for words in COMMANDS:
        rc, live = answer(asyncmon, t.pid, words)
        assert answer(asyncmon, file, words) == (rc, live), words
    ps = asyncmon.json("ps", file, "--all")
    assert ps["target"]["kind"] == "saved"
    assert len(ps["tasks"]) > 20 and {t["name"] for t in ps["tasks"]} >= {x["name"] for x in t.tasks().values()}


def test_same_text_with_source_lines_though_the_files_are_gone(asyncmon, saved):
    t, file = saved

    def text(target, *words):
        out = asyncmon(words[0], target, *words[1:]).out
        return [line for line in out.splitlines() if " left" not in line and "ago" not in line]
    for words in [("where", "-f", ""), ("stacktrace",), ("stacktrace", "--native"), ("tree",), ("why",)]:
        live = text(t.pid, *words)
        assert len(live) > 5
        # Elsewhere nobody has these files.
        out = subprocess.run(["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$1" && shift && exec "$@"', "sh",
                              os.path.dirname(os.path.abspath(__file__)), ASYNCMON, words[0], str(file)] + list(words[1:]),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if out.returncode and "unshare" in out.stderr:
            out = subprocess.run([ASYNCMON, words[0], str(file)] + list(words[1:]), stdout=subprocess.PIPE, text=True)
        assert [l for l in out.stdout.splitlines() if " left" not in l and "ago" not in l] == live, words
    assert any(line.strip().startswith("await ") for line in text(file, "where", "-f", ""))


def test_history(asyncmon, target, tmp_path):
    t = target(usable(INTERPS["pyenv-3.12"]), "ends.py", "asyncio")
    assert asyncmon("inject", t.pid).rc == 0
    assert t.line(60), t.stderr()
    stopped(t)
    file = tmp_path / "look"
    assert asyncmon("save", t.pid, file).rc == 0
    rc, live = answer(asyncmon, t.pid, ("ps-terminated",))
    assert live["terminated"] and answer(asyncmon, file, ("ps-terminated",)) == (rc, live)
    serials = ["#%d" % e["serial"] for e in live["terminated"][:20]]
    rc, live = answer(asyncmon, t.pid, ("where-terminated",) + tuple(s.lstrip("#") for s in serials))
    assert any(e["exception"] for e in live["terminated"]) and any(e["stack"] for e in live["terminated"])
    assert answer(asyncmon, file, ("where-terminated",) + tuple(s.lstrip("#") for s in serials)) == (rc, live)


def test_session(asyncmon, saved):
    t, file = saved
    a = asyncmon("attach", file, "-e", "ps --raw -o id,name,state", "-e", "save %s.2" % file)
    live = asyncmon("ps", t.pid, "--raw", "-o", "id,name,state")
    assert a.rc == 0 and a.out.startswith(live.out) and live.out.count("\n") > 10, a.err
    assert answer(asyncmon, str(file) + ".2", ("ps",)) == answer(asyncmon, file, ("ps",))
    for command in ("cancel Task-1", "console -c 1", "inject", "signal TERM"):
        a = asyncmon("attach", file, "-e", command)
        assert a.rc == 3 and "saved look" in a.err, (command, a.err)


def test_only_its_owner_and_never_over_another(asyncmon, saved):
    t, file = saved
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    before = file.read_bytes()
    a = asyncmon("save", t.pid, file)
    assert a.rc == 2 and "--force" in a.err and file.read_bytes() == before
    old = os.umask(0)
    try:
        assert asyncmon("save", "--force", t.pid, file).rc == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert asyncmon.json("ps", file)["tasks"]
    assert os.listdir(file.parent) == [file.name]
    for words in [(t.pid,), (t.pid, file, file), (t.pid, file.parent / "no" / "x")]:
        assert asyncmon("save", *words).rc in (2, 3)


def test_without_locals(asyncmon, saved):
    t, file = saved
    other = file.parent / "other"
    assert b"locals" in asyncmon("where", "--locals", "--json", "-f", "", file).raw
    assert asyncmon("save", "--no-locals", t.pid, other).rc == 0
    assert os.stat(other).st_size < os.stat(file).st_size
    a = asyncmon("where", "--locals", "--json", "-f", "", other)
    assert a.rc == 5 and b'"locals"' not in a.raw and "left out" in json.loads(a.raw)["notes"][-1]
    assert answer(asyncmon, other, ("where", "-f", "")) == answer(asyncmon, file, ("where", "-f", ""))


def test_program_without_asyncio(asyncmon, target, tmp_path, python):
    t = target(python, "bare.py")
    file = tmp_path / "look"
    assert asyncmon("save", t.pid, file).rc == 0
    assert asyncmon("ps", file).rc == asyncmon("ps", t.pid).rc == 4
    live = answer(asyncmon, t.pid, ("stacktrace",))
    assert live[1]["threads"] and answer(asyncmon, file, ("stacktrace",)) == live


def test_damaged_files_are_refused(asyncmon, target, tmp_path, python):
    file, bad = tmp_path / "look", tmp_path / "bad"
    assert asyncmon("save", target(python, "shapes.py").pid, file).rc == 0
    data = file.read_bytes()
    for at in range(0, len(data), max(1, len(data) // 20)):
        bad.write_bytes(data[:at])
        a = asyncmon("ps", bad)
        assert a.rc == 3 and a.out == "", (at, a)
        if at >= 16:
            bad.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
            a = asyncmon("ps", bad)
            assert a.rc == 3 and a.out == "", (at, a)
    bad.write_bytes(data[:14] + b"9\n" + data[16:])
    a = asyncmon("ps", bad)
    assert a.rc == 4 and "version" in a.err
