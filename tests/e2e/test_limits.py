"""Many of everything, and what ends an answer early is said where it does."""
import json

import pytest

from conftest import INTERPS, OWN, usable


@pytest.fixture(params=[OWN, "pyenv-3.8", "sid-3.14"])
def t(request, target):
    return target(usable(INTERPS[request.param]), "foreign.py")


def test_foreign_awaitable_is_said(asyncmon, t):
    a = asyncmon.json("ps", t.pid)
    assert a["complete"], a["notes"]
    by = {x["id"]: x for x in a["tasks"]}
    assert by[t.truth["foreign"]]["stack_beyond"] == "Reply"
    assert by[t.truth["plain"]]["stack_beyond"] is None
    out = asyncmon("where", t.pid, t.truth["foreign"]).out
    assert "goes on in a Reply" in out
    assert "goes on" not in asyncmon("where", t.pid, t.truth["plain"]).out


def test_many_of_everything(asyncmon, t):
    a = asyncmon.json("ps", t.pid)
    assert a["complete"], a["notes"]
    assert sum(x["coro"] == "plain" for x in a["tasks"]) == t.truth["many"] + 2
    assert a["loops"][0]["timers"] >= t.truth["timers"]
