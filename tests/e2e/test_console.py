"""console: Python run in the target, on its loop."""
import os
import signal
import subprocess
import time

import pytest

import conftest
from conftest import INTERPS, OWN, some, usable
from test_cancel import sockets, t  # noqa: F401
from test_session import open_terminal  # noqa: F401

PROMPT = r">>> $"


def test_code(asyncmon, t):  # noqa: F811
    a = asyncmon("console", t.pid, "-c", "1 + 1; print('hi'); await asyncio.sleep(0, 'there')")
    assert (a.rc, a.out) == (0, "2\nhi\n'there'\n"), a.err
    a = asyncmon("console", t.pid, "-c", "len(tasks), task('willing').get_name(), type(loop).__name__")
    assert a.rc == 0 and a.out.startswith("(5, 'willing', '")


def test_errors(asyncmon, t):  # noqa: F811
    a = asyncmon("console", t.pid, "-c", "def f():\n  raise KeyError(3)\nawait asyncio.sleep(0)\nf()")
    assert a.rc == 1
    assert a.out.splitlines()[1:] == ['  File "<console>", line 4, in <module>',
                                      '  File "<console>", line 2, in f', "KeyError: 3"]
    a = asyncmon("console", t.pid, "-c", "x =")
    assert a.rc == 1 and "SyntaxError" in a.out
    assert asyncmon("console", t.pid, "-c", "raise SystemExit(3)").rc == 0


def ticks(t, seconds):  # noqa: F811
    """What the target itself prints meanwhile."""
    end, seen = time.monotonic() + seconds, []
    while time.monotonic() < end:
        line = t.line(0.1)
        if line:
            seen.append(line.decode())
    return seen


def test_output_stays_apart(asyncmon, t):  # noqa: F811
    a = asyncmon("console", t.pid, "-c", "for i in range(4):\n  print('mine', i)\n  await asyncio.sleep(0.3)")
    assert a.out.splitlines() == ["mine %d" % i for i in range(4)]
    seen = ticks(t, 0.5)
    assert len(seen) >= 3 and all(line.startswith("tick") for line in seen)


def test_killed(t):  # noqa: F811
    before = sockets(t.pid)
    p = subprocess.Popen([conftest.ASYNCMON, "console", str(t.pid), "-c",
                          "try:\n  await asyncio.sleep(100)\nfinally:\n"
                          "  import sys; sys.__stdout__.write('ended\\n'); sys.__stdout__.flush()"])
    time.sleep(1.5)
    p.send_signal(signal.SIGKILL)
    p.wait()
    assert conftest.wait_for(lambda: b"ended" in t.line(0.1), 5)
    time.sleep(0.3)
    assert sockets(t.pid) == before


def test_interrupted(asyncmon, t):  # noqa: F811
    """What is awaited is the program's, and lives on."""
    for code in ("await task('willing')", "await asyncio.gather(*tasks)", "while True:\n  pass"):
        p = subprocess.Popen([conftest.ASYNCMON, "console", str(t.pid), "-c", code],
                             stdin=subprocess.DEVNULL)
        time.sleep(1.5)
        p.send_signal(signal.SIGINT)
        assert p.wait(20) == 1
    a = asyncmon.json("ps", t.pid)
    assert len(a["tasks"]) == 5


@pytest.mark.parametrize("name", some("pyenv-3.9", OWN, "pyenv-3.13", "sid-3.14", "sid-3.15"))
def test_prompt(open_terminal, target, name):  # noqa: F811
    process = target(usable(INTERPS[name]), "actors.py")
    s = open_terminal("attach", process.pid)
    s.c.sendline("console")
    s.see("changes the target")
    s.see(PROMPT)

    def run(line, expect, prompt=PROMPT):
        s.c.sendline(line)
        s.see(expect)
        s.see(prompt)
    run("1 + 1", "\n2\r\n")
    run("for i in range(2):", r"range\(2\):\r\n", r"\.\.\. $")
    run("    print(i, _)", r"_\)\r\n", r"\.\.\. $")
    run("", "0 2\r\n1 2\r\n")
    run("await asyncio.sleep(0.1, 7)", "\n7\r\n")
    run("1 / 0", "ZeroDivisionError: division by zero")
    s.type("asyncio.create_ta\t")
    s.see(r"sk")
    s.c.sendintr()
    s.see(PROMPT)
    s.c.sendline("await task('willing')")
    time.sleep(0.5)
    s.c.sendintr()
    s.see("KeyboardInterrupt")
    s.see(PROMPT)
    s.c.sendline("while True: pass")
    s.see(r"\.\.\. $")
    s.c.sendline("")
    time.sleep(0.5)
    s.c.sendintr()
    s.see("Ctrl-C again breaks into it")
    s.c.sendintr()
    s.see("KeyboardInterrupt")
    s.see(PROMPT)
    os.kill(process.pid, signal.SIGUSR1)
    time.sleep(0.3)
    s.c.sendline("3 + 4")
    s.see("the loop does not answer, it is in block")
    s.see("\n7\r\n")
    s.see(PROMPT)
    s.c.sendeof()
    s.see("asyncmon .*> ")
    s.leave()
