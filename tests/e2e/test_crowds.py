"""many-of-one-origin: a number is no fault; one that only grows is."""
import json

import pytest


@pytest.mark.parametrize("how", ["stands", "goes", "grows"])
def test_a_crowd(main_interp, target, asyncmon, how):
    t = target(main_interp, "standing.py", how)
    a = asyncmon("check", t.pid, "--json", "--many", "300", "--interval", "0.5")
    f, = json.loads(a.raw)["findings"]
    assert f["rule"] == "many-of-one-origin" and len(f["tasks"]) >= 400
    assert (f["severity"], a.rc) == (("warning", 1) if how == "grows" else ("info", 0))
    if how == "stands":
        assert " 0 came and 0 went, so they do not grow by much" in f["message"]
