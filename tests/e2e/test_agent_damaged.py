"""An agent whose header is damaged: that is said, and is not taken for no agent."""
import json
import struct

import pytest

import agentmemory

DAMAGE = {"magic": (0, bytes(8)), "address": (agentmemory.AT_SELF, bytes(8)),
          "pools": (agentmemory.AT_POOLS + 8, struct.pack("<I", 7)),
          "version": (agentmemory.AT_VERSION, struct.pack("<I", 99))}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_header_is_said(main_interp, target, asyncmon, what):
    t = target(main_interp, "history.py")
    assert asyncmon("inject", t.pid).rc == 0
    assert t.line(30), t.stderr()
    whole = asyncmon.json("ps", t.pid)
    assert whole["target"]["agent"] is True
    assert asyncmon.json("ps-terminated", t.pid)["terminated"]
    offset, bad = DAMAGE[what]
    memory = agentmemory.Memory(t.pid)
    good = memory.read(offset, len(bad))
    assert good != bad
    memory.write(offset, bad)
    try:
        ps = asyncmon.json("ps", t.pid)
        ended = asyncmon("ps-terminated", t.pid)
        as_json = asyncmon("ps-terminated", t.pid, "--json")
    finally:
        memory.write(offset, good)
        memory.close()
    assert ps["target"]["agent"] is False
    assert {x["id"] for x in ps["tasks"]} == {x["id"] for x in whole["tasks"]}
    assert all(x["serial"] is None and x["created"] is None for x in ps["tasks"])
    reason = {"magic": "header of the agent's memory is damaged", "address": "header of the agent's memory is damaged",
              "pools": "not as its header says", "version": "writes format 99"}[what]
    assert any(reason in note for note in ps["notes"]), ps["notes"]
    assert ended.rc == 3 and ended.out == "" and reason in ended.err
    assert as_json.rc == 3 and reason in json.loads(as_json.out)["error"]["message"]
    assert asyncmon.json("ps-terminated", t.pid)["terminated"]
