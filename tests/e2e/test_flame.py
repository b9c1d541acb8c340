"""`flame`: every waiting task counts once, below whom it waits for, in each format."""
import json
import os
import re
import signal
import subprocess

import jsonschema
import pytest

from conftest import ASYNCMON, pick, some, usable, wait_for, INTERPS

PYTHONS = some("pyenv-3.9", "pyenv-3.11", "pyenv-3.12", "sid-3.14")


@pytest.fixture(params=PYTHONS)
def waiting(request, shared):
    return shared(usable(INTERPS[request.param]), "flames.py")


def short(function):
    return function.split(".")[-1]


def paths(stacks):
    """{"outer>fan>leaf>sleep": weight}, by plain names: qualified ones differ by version."""
    out = {}
    for stack, weight in stacks:
        out[">".join(map(short, stack))] = out.get(">".join(map(short, stack)), 0) + weight
    return out


def wanted(t):
    return {">".join(map(short, k.split(">"))): v
            for k, v in t.truth["want"].items() if t.truth["evil"] not in k}


def without_evil(found):
    return {k: v for k, v in found.items() if "alert" not in k}


def of_json(answer):
    return [([f["function"] for f in s["stack"]], s["weight"]) for s in answer["flame"]["stacks"]]


def test_each_waiting_task_counts_once(asyncmon, waiting):
    answer = asyncmon.json("flame", waiting.pid)
    assert answer["complete"], answer["notes"]
    assert answer["flame"]["total"] == waiting.truth["total"]
    assert without_evil(paths(of_json(answer))) == wanted(waiting)
    evil = [s for s in answer["flame"]["stacks"] if s["stack"][0]["function"] == waiting.truth["evil"]]
    assert [s["weight"] for s in evil] == [1]


def test_collapsed_has_the_same_stacks(asyncmon, waiting):
    a = asyncmon("flame", waiting.pid)
    assert a.rc == 0, a.err
    stacks = []
    for line in a.out.splitlines():
        assert re.fullmatch(r"[\x20-\x7e]+ [0-9]+", line), line
        frames, weight = line.rsplit(" ", 1)
        stacks.append(([f.split(" ")[0] for f in frames.split(";")], int(weight)))
    assert without_evil(paths(stacks)) == wanted(waiting)
    assert sum(w for _, w in stacks) == waiting.truth["total"]


@pytest.fixture(scope="session")
def speedscope_schema(tmp_path_factory):
    """As its package has it; kept beside the interpreters."""
    kept = os.path.expanduser("~/.cache/asyncmon-tests/speedscope-schema.json")
    if not os.path.exists(kept):
        where = tmp_path_factory.mktemp("npm")
        try:
            subprocess.run(["npm", "pack", "speedscope@1.25.0"], cwd=where, check=True, timeout=60,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            text = subprocess.check_output(["tar", "xzOf", "speedscope-1.25.0.tgz",
                                            "package/dist/release/file-format-schema.json"], cwd=where)
        except (OSError, subprocess.SubprocessError) as e:
            pytest.skip("speedscope's schema cannot be had: %s" % e)
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        with open(kept + ".%d" % os.getpid(), "wb") as f:
            f.write(text)
        os.rename(f.name, kept)
    with open(kept) as f:
        return json.load(f)


def test_speedscope_takes_it(asyncmon, waiting, speedscope_schema):
    a = asyncmon("flame", "--format", "speedscope", waiting.pid)
    assert a.rc == 0, a.err
    answer = json.loads(a.raw)
    jsonschema.validate(answer, speedscope_schema)
    names = [f["name"] for f in answer["shared"]["frames"]]
    profile, = answer["profiles"]
    stacks = [([names[i] for i in sample], weight)
              for sample, weight in zip(profile["samples"], profile["weights"])]
    assert without_evil(paths(stacks)) == wanted(waiting)
    assert len(profile["samples"]) == len(profile["weights"])
    assert profile["endValue"] == sum(profile["weights"]) == waiting.truth["total"]


def embedded(page):
    """The data, as a browser would find it: up to the first end of the element."""
    return json.loads(page.split('<script type="application/json" id="data">', 1)[1].split("</script", 1)[0])


def test_page_has_all_and_nothing_of_the_target_gets_out(asyncmon, waiting, tmp_path):
    out = tmp_path / "flame.html"
    a = asyncmon("flame", "--format", "html", "--out", out, waiting.pid)
    assert (a.rc, a.out) == (0, ""), a.err
    page = out.read_text("utf-8")
    assert page.count("<script") == page.count("</script") == 2
    assert "alert(1)" in page and "<script>alert" not in page and "<!--" not in page
    assert "http:" not in page and "https:" not in page and "src=" not in page
    data = embedded(page)
    nodes, frames = data["nodes"], data["frames"]
    assert nodes[0] == [0, 0, 0] and all(parent < i for i, (parent, _, _) in enumerate(nodes) if i)

    def path(i):
        return path(nodes[i][0]) + [frames[nodes[i][1]][0].split(" ")[0]] if i else []
    found = paths([(path(i), own) for i, (_, _, own) in enumerate(nodes) if own])
    assert without_evil(found) == wanted(waiting)
    assert any(f[0].startswith(waiting.truth["evil"]) for f in frames)


def test_filters_and_groups(asyncmon, waiting):
    answer = asyncmon.json("flame", waiting.pid, "--coro", "locked", "--group-by", "waiting")
    found = paths(of_json(answer))
    assert found == {"lock>locked>acquire>lock": 5}
    assert asyncmon("flame", waiting.pid, "--group-by", "nothing").rc == 2
    assert asyncmon("flame", waiting.pid, "--format", "png").rc == 2


def test_out_replaces_whole_files_only(asyncmon, waiting, tmp_path):
    out = tmp_path / "f"
    out.write_text("old")
    assert asyncmon("flame", "--out", out, waiting.pid).rc == 0
    assert sum(int(l.rsplit(" ", 1)[1]) for l in out.read_text().splitlines()) == waiting.truth["total"]
    before = out.read_text()
    assert asyncmon("flame", "--out", out, 2 ** 22 + 1).rc == 3
    assert out.read_text() == before
    assert os.listdir(tmp_path) == ["f"]
    assert asyncmon("flame", "--out", tmp_path / "no" / "f", waiting.pid).rc == 3
    a = asyncmon("flame", "--out", "/dev/stdout", waiting.pid)
    assert a.rc == 0 and a.out == before


def test_long_chains_are_cut_and_said(asyncmon, target):
    t = target(usable(pick("pyenv-3.12", "debian-3.11")), "deep.py", 3000, "--tasks")
    answer = asyncmon.json("flame", t.pid)
    assert answer["flame"]["total"] >= 3000
    assert any("1000" in note for note in answer["notes"])
    assert max(len(s["stack"]) for s in answer["flame"]["stacks"]) == 1000


@pytest.mark.parametrize("name", some("debian-3.11", "pyenv-3.9", "sid-3.14"))
def test_running(name, target):
    """What a loop spends its time with, and that it waits for the rest of it."""
    t = target(usable(INTERPS[name]), "holding.py", "asyncio", "python=700", "sleep=700")
    p = subprocess.Popen([ASYNCMON, "flame", "--running", "--for", "60s", str(t.pid)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    files = "/proc/%d/fd" % p.pid

    def follows():
        try:
            return any(re.search(r"/proc/%d/task/\d+/stat$" % t.pid, os.readlink(files + "/" + f))
                       for f in os.listdir(files))
        except OSError:
            return False
    assert wait_for(follows)
    os.kill(t.pid, signal.SIGUSR1)
    assert [json.loads(t.line(60))["kind"] for _ in range(2)] == ["python", "sleep"]
    assert json.loads(t.line(60)) == {"done": True}
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    stacks = [line.rsplit(" ", 1) for line in out.splitlines()]
    below = {}
    for stack, weight in stacks:
        frames = stack.split(";")
        names = [f.split(" ")[0] for f in frames]
        key = next((n for n in ("spin", "doze") if n in names), frames[0])
        below[key] = below.get(key, 0) + int(weight)
        if key in ("spin", "doze"):
            assert names[:2] == ["step", "step"], stack
    assert {"spin", "doze", "waiting for events"} <= set(below), out
    # time.sleep() is a call of C's, which Python's own stacks do not show.
    assert any("doze" in stack and re.search(r"nanosleep|select", stack) for stack, _ in stacks), out
    said = re.search(r"(\d+) samples; the process was stopped for (\d+) of them", err)
    assert said and int(said.group(1)) == sum(below.values()) and int(said.group(2)) <= int(said.group(1)), err
    assert p.returncode == 0
