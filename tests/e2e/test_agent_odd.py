"""The agent and tasks of odd makes, other threads, forks; `run` and what it leaves."""
import json
import os
import subprocess

import pytest

from conftest import ASYNCMON, INTERPS, usable

BUILD = os.path.dirname(os.path.abspath(ASYNCMON))


@pytest.fixture
def odd(interp, target, asyncmon):
    t = target(interp, "oddtasks.py")
    assert asyncmon("inject", t.pid).rc == 0
    line = t.line(30)
    assert line, t.stderr()
    child = json.loads(line)["child"]
    # Its number is that of its own namespace, which is ours.
    yield t, child
    os.kill(child, 9)


def test_odd_tasks(odd, asyncmon):
    t, child = odd
    tasks = {x["name"]: x for x in asyncmon.json("ps", t.pid)["tasks"]}
    made_by = {"of threaded": "threaded", "Plain sleeper": "main", "Own sleeper": "main",
               "Later sleeper": "main"}
    made_by.update({"pure": "main", "of pure": "pure"})
    assert any(x["type"] == "asyncio.tasks.Task" and x["created"] for x in tasks.values())
    if t.interp.minor >= (3, 12):
        made_by.update({"eager": "main", "of eager": "eager", "eager sleeper": "main"})
    for name, by in made_by.items():
        assert tasks[name]["created"]["by"]["name"] == by, name
        assert tasks[name]["stats"]["polls"] == 1, name
    ended = {x["name"]: x for x in asyncmon.json("pst", t.pid)["terminated"]}
    for make in ("Plain", "Own", "Later"):
        assert ended[make + " quick"]["outcome"] == "finished"
        failed = ended[make + " fails"]
        assert failed["outcome"] == "failed"
        assert failed["exception"]["type"] == "FileNotFoundError"
        assert failed["exception"]["message"] == "[Errno 2] No such file: 'somewhere'"
        assert failed["exception"]["stack"][-1]["function"] == "fails"
    # They ended, or had all of a step, before they had their names.
    if t.interp.minor >= (3, 12):
        assert ended["eager at_once"]["outcome"] == "finished"
        assert ended["eager quick"]["outcome"] == "finished"
    assert ended["cancelled"]["outcome"] == "cancelled"
    assert ended["abandoned"]["exception"]["type"] == "GeneratorExit"


def test_forked_child_begins_empty(odd, asyncmon):
    t, child = odd
    serials = {x["serial"] for x in asyncmon.json("ps", t.pid)["tasks"]}
    tasks = {x["name"]: x for x in asyncmon.json("ps", child)["tasks"]}
    assert tasks["child main"]["serial"] is not None
    assert tasks["child main"]["serial"] not in serials
    assert "Plain sleeper" not in tasks or tasks["Plain sleeper"]["serial"] is None
    ended = asyncmon.json("pst", child)["terminated"]
    assert [x["name"] for x in ended] == ["quick in child"]


# ---- run ----

@pytest.fixture(params=[n for n in INTERPS if not INTERPS[n].root])
def outside(request):
    """Interpreters outside of a chroot, which see our files."""
    return usable(INTERPS[request.param])


def run(interp, *args, env=None, before=("run", "--")):
    e = dict(os.environ, **(env or {}))
    return subprocess.run([ASYNCMON] + list(before) + list(args), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=e, timeout=60, universal_newlines=True)


SAY = """
import asyncio, json, os, subprocess, sys
async def main():
    agent = sys.modules["asyncmon_agent"]
    child = subprocess.run([sys.executable, "-c", "import os, sys, asyncio; print(os.environ.get('PYTHONPATH'),"
        "'asyncmon_agent' in sys.modules, [p for p in sys.path if 'shim' in p])"],
        stdout=subprocess.PIPE, universal_newlines=True)
    print(json.dumps({"tasks": agent.running()["tasks"], "path": os.environ.get("PYTHONPATH"),
        "run": os.environ.get("ASYNCMON_RUN"), "shim": [p for p in sys.path if "shim" in p],
        "site": getattr(sys.modules.get("sitecustomize"), "mark", None), "child": child.stdout}))
asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["direct", "sh", "m"])
def test_run(outside, tmp_path, way):
    (tmp_path / "say.py").write_text(SAY)
    (tmp_path / "sitecustomize.py").write_text("mark = 'theirs'\n")
    argv = list(outside.argv)
    if way == "sh":
        (tmp_path / "go.sh").write_text("#!/bin/sh\n%s %s\n" % (" ".join(argv), tmp_path / "say.py"))
        argv = ["sh", str(tmp_path / "go.sh")]
    elif way == "m":
        argv += ["-m", "say"]
    else:
        argv += [str(tmp_path / "say.py")]
    before = sorted(os.listdir(str(tmp_path)))
    env = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    p = run(outside, *argv, env=env)
    assert p.returncode == 0, p.stderr
    said = json.loads(p.stdout)
    assert said["tasks"] == 1 and said["site"] == "theirs"
    assert said["path"] == str(tmp_path) and said["run"] is None and said["shim"] == []
    assert said["child"] == "%s False []\n" % tmp_path
    assert sorted(os.listdir(str(tmp_path))) == before


def test_run_without_a_sitecustomize(outside, tmp_path):
    text = ("import os, sys\n"
            "assert 'PYTHONPATH' not in os.environ and 'asyncmon_agent' not in sys.modules\n"
            "assert 'asyncio' not in sys.modules\n"
            "assert getattr(sys.modules.get('sitecustomize'), '__file__', '').find('shim') < 0\n"
            "import asyncio\n"
            "assert sys.modules['asyncmon_agent'].running()\n")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    p = subprocess.run([ASYNCMON, "run", "--"] + outside.argv + ["-c", text], stderr=subprocess.PIPE,
                       env=env, timeout=60, universal_newlines=True)
    assert p.returncode == 0 and p.stderr == ""


FINDERS = {
    "first": "sys.meta_path.insert(0, type('F', (), {'find_spec': staticmethod(lambda n, p=None, t=None: None)}))",
    "asked": "import importlib.util; importlib.util.find_spec('_asyncio')",
    "replaced": "import importlib.machinery as m\n"
                "sys.meta_path[:] = [m.BuiltinImporter, m.FrozenImporter, m.PathFinder]",
    "early": "import asyncio",
}


@pytest.mark.parametrize("finder", list(FINDERS))
def test_run_whatever_finds_modules(outside, finder):
    """pytest puts a finder of its own before all others, zipapps and freezers do so too."""
    text = ("import sys\n" + FINDERS[finder] + "\ntry:\n import nothing_of_that_name\n"
            "except ImportError as e:\n assert e.__traceback__.tb_next is None, e.__traceback__.tb_next.tb_frame\n"
            "import asyncio\nassert sys.modules['asyncmon_agent'].running()\n")
    p = run(outside, *outside.argv, "-c", text)
    assert p.returncode == 0 and p.stderr == "", p.stderr


def test_restarts_under_threads(outside):
    """It is switched off and on by all threads while all are in steps of tasks."""
    text = """
import asyncio, asyncmon_agent, sys, threading, time
stop = time.monotonic() + 2
async def level(n):
    try:
        await (level(n - 1) if n else asyncio.sleep(100))
    finally:
        await asyncio.sleep(0)
async def main(make):
    rounds = 0
    while time.monotonic() < stop or rounds < 6:
        tasks = [make(level(i), loop=asyncio.get_running_loop()) for i in range(12)]
        await asyncio.sleep(0)
        for t in tasks:
            t.cancel()
        for r in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(r, asyncio.CancelledError), r
        rounds += 1
        if rounds % 3 == 0:
            asyncmon_agent.stop()
            asyncmon_agent.start(history=20 * rounds % 200 + 10)
def thread(make):
    asyncio.run(main(make))
    fine.append(make)
fine = []
kinds = [asyncio.tasks._CTask, asyncio.tasks._PyTask] * 2
threads = [threading.Thread(target=thread, args=(k,)) for k in kinds]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert len(fine) == 4
asyncmon_agent.start()
asyncio.run(asyncio.sleep(0))
print(asyncmon_agent.running()["ended"] > 0)
"""
    p = run(outside, *outside.argv, "-c", text)
    assert (p.returncode, p.stdout, p.stderr) == (0, "True\n", ""), p


def test_run_with_a_subinterpreter(outside):
    """One that only imports asyncio, while the main one's loop runs."""
    if outside.minor >= (3, 12):
        pytest.skip("subinterpreters share nothing of _asyncio")
    text = """
import asyncio, threading, time, _xxsubinterpreters as interpreters
def other():
    time.sleep(.1)
    interpreters.run_string(interpreters.create(), "import asyncio")
async def main():
    thread = threading.Thread(target=other)
    thread.start()
    while thread.is_alive():
        await asyncio.get_running_loop().create_task(asyncio.sleep(.005))
    for _ in range(20):
        await asyncio.get_running_loop().create_task(asyncio.sleep(.005))
asyncio.run(main())
"""
    p = run(outside, *outside.argv, "-c", text)
    assert p.returncode == 0 and p.stderr == "", p


@pytest.mark.parametrize("option", ["-I", "-E", "-S", "-BI"])
def test_run_of_a_python_that_does_not_look(python, option):
    p = run(python, *python.argv, option, "-c", "pass")
    assert p.returncode == 0 and "-" + option[-1] in p.stderr and "without the agent" in p.stderr
    for fine in (["-c", "pass", "-I"], ["-X", "dev", "-c", "pass"], ["-W", "ignore", "-c", "pass", "-S"]):
        assert run(python, *python.argv, *fine).stderr == ""


def test_run_with_children(outside):
    text = ("import subprocess, sys\n"
            "sys.exit(subprocess.call([sys.executable, '-c', 'import asyncio, sys; "
            "assert sys.modules[\"asyncmon_agent\"].running()']))\n")
    assert run(outside, *outside.argv, "-c", text, before=("run", "--children", "--")).returncode == 0


def test_run_gives_the_status_on(python):
    assert run(python, "sh", "-c", "exit 7").returncode == 7
    assert run(python, "no-such-command").returncode == 127
    assert run(python, before=("run",)).returncode == 2
    p = run(python, "no-such-command", before=("run", "--json", "--"))
    assert p.returncode == 127 and "no-such-command" in json.loads(p.stdout)["error"]["message"]


def test_a_module_of_ones_own(outside, tmp_path):
    """start(), stop(), preserve() as a program calls them; a small memory fills up."""
    text = """
import asyncio, sys
sys.path.insert(0, %r)
import asyncmon_agent
@asyncmon_agent.preserve
async def kept():
    await asyncio.sleep(0)
async def other():
    await asyncio.sleep(0)
def decorate(f):
    async def inner():
        return await f()
    return inner
alike, precious = decorate(other), asyncmon_agent.preserve(decorate(other))
for odd in (print, lambda: 1, decorate, (x for x in ())):
    try:
        asyncmon_agent.preserve(odd)
    except TypeError:
        continue
    raise AssertionError(odd)
for limits in ({"history": -1}, {"memory": -5}, {"preserved": 1 << 40}):
    try:
        asyncmon_agent.start(**limits)
    except ValueError:
        continue
    raise AssertionError(limits)
async def main():
    await asyncio.ensure_future(kept())
    await asyncio.ensure_future(precious())
    for _ in range(400):
        await asyncio.gather(*[other() for _ in range(100)])
    await asyncio.ensure_future(alike())
    n = asyncmon_agent.running()
    assert n["ended"] <= 500 and n["preserved"] == 2 and n["dropped_tasks"] == 0, n
    assert n["memory"] < 2 << 20
    many = [asyncio.ensure_future(asyncio.sleep(1000)) for _ in range(20000)]
    await asyncio.sleep(0)
    n = asyncmon_agent.running()
    assert n["dropped_tasks"] > 0 and n["preserved"] <= 2, n
    for t in many:
        t.cancel()
    await asyncio.wait(many)
asyncmon_agent.start(history=500, memory=1 << 20)
asyncmon_agent.start()
asyncio.run(main())
asyncmon_agent.stop()
asyncmon_agent.stop()
assert asyncmon_agent.running() is None
asyncio.run(other())
asyncmon_agent.start()
asyncio.run(other())
assert 1 <= asyncmon_agent.running()["tasks"] < 10
""" % BUILD
    path = tmp_path / "own.py"
    path.write_text(text)
    p = subprocess.run(outside.argv + [str(path)], stderr=subprocess.PIPE, timeout=100,
                       universal_newlines=True)
    assert p.returncode == 0, p.stderr
