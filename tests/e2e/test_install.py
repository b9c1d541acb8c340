"""make install and make uninstall, and the completions that they bring to the shells."""
import os
import re
import shutil
import subprocess

import pexpect
import pytest

from conftest import REPO

PROMPT = "ready> "


def make(what, staging):
    p = subprocess.run(["make", "-s", what, "DESTDIR=%s" % staging, "PREFIX=/usr"], cwd=REPO,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert p.returncode == 0, p.stdout.decode()


def files(folder):
    return sorted(os.path.relpath(os.path.join(at, f), folder)
                  for at, dirs, names in os.walk(folder) for f in names + dirs)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    staging = tmp_path_factory.mktemp("staging")
    make("install", staging)
    return staging


def test_uninstall_leaves_nothing(tmp_path):
    staging = tmp_path / "staging"
    staging.mkdir()
    make("install", staging)
    there = files(staging)
    assert "usr/bin/asyncmon" in there and "usr/share/man/man1/asyncmon.1" in there
    assert "usr/share/asyncmon/asyncmon-1.schema.json" in there
    # What is another's stays.
    other = staging / "usr/share/man/man1/other.1"
    other.write_text("")
    make("uninstall", staging)
    assert files(staging) == ["usr", "usr/share", "usr/share/man", "usr/share/man/man1",
                              "usr/share/man/man1/other.1"]
    other.unlink()
    make("uninstall", staging)
    assert files(staging) == []


def bash(staging):
    c = pexpect.spawn("bash", ["--norc", "--noprofile"], env=env(staging), encoding="utf-8",
                      dimensions=(50, 200))
    c.sendline("PS1='%s'; bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; . %s"
               % (PROMPT, staging / "usr/share/bash-completion/completions/asyncmon"))
    return c


def zsh(staging):
    c = pexpect.spawn("zsh", ["-f"], env=env(staging), encoding="utf-8", dimensions=(50, 200))
    c.sendline("PS1='%s'; unsetopt zle_bracketed_paste promptsp promptcr 2>/dev/null; fpath=(%s $fpath); "
               "autoload -U compinit; compinit -u -D"
               % (PROMPT, staging / "usr/share/zsh/site-functions"))
    return c


def fish(staging):
    c = pexpect.spawn("fish", ["--no-config"], env=env(staging), encoding="utf-8", dimensions=(50, 200))
    c.sendline("function fish_prompt; echo -n '%s'; end; source %s"
               % (PROMPT, staging / "usr/share/fish/vendor_completions.d/asyncmon.fish"))
    return c


def env(staging):
    e = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8", HOME=str(staging),
             PATH="%s:%s" % (staging / "usr/bin", os.environ["PATH"]))
    e.pop("ZDOTDIR", None)
    return e


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, installed):
    if not shutil.which(request.param):
        pytest.skip("no %s here" % request.param)
    c = globals()[request.param](installed)
    c.shell = request.param
    c.delaybeforesend = 0
    yield c
    c.close(force=True)


def words_of(c, line):
    """The words that the shell would run, once TAB was typed behind the line: asyncmon is
    a function there that prints them."""
    define = {"fish": "function asyncmon; if test $argv[1] = __complete; command asyncmon $argv; "
                      "else; printf '<%s>' run $argv; echo; end; end"}
    c.sendline(define.get(c.shell, "asyncmon() { if [ \"$1\" = __complete ]; then command asyncmon \"$@\"; "
                                   "else printf '<%s>' run \"$@\"; echo; fi; }"))
    c.send(line + "\t")
    # The shell reads the answer before it reads what is typed next.
    c.send("\r")
    c.expect(r"<run>([^\r\n]*)", timeout=30)
    return re.findall("<([^>]*)>", c.match.group(1))


@pytest.fixture
def t(shared, python):
    return shared(python, "crowd.py", 40)


def test_command(shell):
    assert words_of(shell, "asyncmon stackt") == ["stacktrace"]


def test_option(shell):
    assert words_of(shell, "asyncmon ps --older") == ["ps", "--older-than"]


def test_pid(shell, t):
    pid = str(t.pid)
    # All but its last digit, where that tells it from others.
    assert pid in subprocess.check_output(["asyncmon", "__complete", "zsh", "ps", pid[:-1]],
                                          env=env_of(shell)).decode()
    assert words_of(shell, "asyncmon ps " + pid)[:2] == ["ps", pid]


def env_of(shell):
    return dict(os.environ, **{k: str(v) for k, v in shell.env.items()})


@pytest.mark.parametrize("typed,task", [("nigh", "nightly report"), ("settle-3", "settle-3"),
                                        ("caf", "café"), ("résumé", "résumé prüfen")])
def test_task(shell, t, typed, task):
    """A name with blanks or other letters comes as one word."""
    assert words_of(shell, "asyncmon where %d %s" % (t.pid, typed)) == ["where", str(t.pid), task]


def test_values(shell, t):
    assert words_of(shell, "asyncmon ps %d --group-by crea" % t.pid)[-1] == "created"
    assert words_of(shell, "asyncmon ps %d -o id,wher" % t.pid)[-1] == "id,where"
    assert words_of(shell, "asyncmon ps %d --state=runna" % t.pid)[-1] == "--state=runnable"
    assert words_of(shell, "asyncmon ps %d --sort ag" % t.pid)[-1] == "age"


def test_quote_that_is_open(shell, t):
    if shell.shell == "fish":
        line = "asyncmon where %d 'nightly re" % t.pid
    else:
        line = 'asyncmon where %d "nightly re' % t.pid
    assert words_of(shell, line) == ["where", str(t.pid), "nightly report"]
