"""`mcp`: the read-only commands as tools, over standard input and output."""
import json
import os
import select
import subprocess
import time

import pytest

import schema
from conftest import ASYNCMON, INTERPS, some, usable, wait_for

PYTHONS = some("pyenv-3.9", "pyenv-3.12", "sid-3.14")
TASKS = 500


class Server:
    def __init__(self):
        self.proc = subprocess.Popen([ASYNCMON, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.number = 0
        self.unread = b""

    def send(self, text):
        self.proc.stdin.write(text.encode() + b"\n")
        self.proc.stdin.flush()

    def read(self, seconds=60):
        """The next message of the server; None when none comes."""
        end = time.monotonic() + seconds
        while b"\n" not in self.unread:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.proc.stdout], [], [], left)[0]:
                return None
            data = os.read(self.proc.stdout.fileno(), 1 << 16)
            if not data:
                return None
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    def request(self, method, **params):
        self.number += 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}))
        return self.number

    def ask(self, method, **params):
        number = self.request(method, **params)
        answer = self.read()
        assert answer and answer["id"] == number, answer
        return answer

    def call(self, tool, failed=False, **arguments):
        result = self.ask("tools/call", name=tool, arguments=arguments)["result"]
        assert result["isError"] == failed, result
        part, = result["content"]
        assert part["type"] == "text"
        return part["text"] if failed else json.loads(part["text"])

    def end(self):
        self.proc.stdin.close()
        return self.proc.wait(60)


@pytest.fixture
def server():
    s = Server()
    yield s
    s.proc.kill()
    s.proc.wait()
    s.proc.stdin.close()
    s.proc.stdout.close()


@pytest.fixture(params=PYTHONS)
def many(request, shared):
    return shared(usable(INTERPS[request.param]), "many.py", TASKS)


def test_first_words(server):
    result = server.ask("initialize", protocolVersion="2025-06-18", capabilities={},
                        clientInfo={"name": "test", "version": "1"})["result"]
    assert result["protocolVersion"] == "2025-06-18"
    assert result["serverInfo"]["name"] == "asyncmon" and "tools" in result["capabilities"]
    server.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    assert server.ask("ping")["result"] == {}
    newer = server.ask("initialize", protocolVersion="2999-01-01")["result"]["protocolVersion"]
    assert newer > "2025"
    assert server.end() == 0


def test_tools_only_look(server):
    tools = {t["name"]: t for t in server.ask("tools/list")["result"]["tools"]}
    assert {"ps", "tree", "where", "why", "check", "stacktrace", "ps-terminated", "where-terminated"} <= set(tools)
    assert not {"cancel", "console", "inject", "signal", "run", "attach"} & set(tools)
    for name, tool in tools.items():
        schema_of = tool["inputSchema"]
        assert tool["annotations"]["readOnlyHint"] is True
        assert tool["description"] and schema_of["properties"]["target"]
        assert not {"out", "force", "color", "json"} & set(schema_of["properties"]), name
    assert tools["where"]["inputSchema"]["properties"]["tasks"]["type"] == "array"
    assert tools["ps"]["inputSchema"]["properties"]["all"]["type"] == "boolean"


def test_same_as_json(server, asyncmon, many):
    found = server.call("ps", target=many.pid, filter="many-7", sort="name")
    direct = asyncmon.json("ps", many.pid, "--filter", "many-7", "--sort", "name")
    assert [t["name"] for t in found["tasks"]] == [t["name"] for t in direct["tasks"]] != []
    schema.hold(["ps"], found)
    where = server.call("where", target=str(many.pid), tasks=["many-7"])
    assert [t["name"] for t in where["tasks"]] == ["many-7"]


def test_pages_of_one_look(server, many):
    first = server.call("ps", target=many.pid)
    page, ids, pages = first["page"], [t["id"] for t in first["tasks"]], 1
    assert page["tasks"]["total"] == TASKS + 1 and len(ids) == page["tasks"]["count"] < TASKS
    assert len(json.dumps(first)) < 64 << 10
    while page["next"] is not None:
        answer = server.call("ps", target=many.pid, offset=page["next"])
        assert answer["target"]["paused_us"] == first["target"]["paused_us"], "another look"
        page = answer["page"]
        ids += [t["id"] for t in answer["tasks"]]
        pages += 1
    assert pages > 2 and len(ids) == len(set(ids)) == TASKS + 1


def test_failures_are_said(server, many):
    gone = server.call("ps", failed=True, target=2 ** 22 + 1)
    assert json.loads(gone)["error"]["code"]
    assert "takes no argument" in server.call("ps", failed=True, target=many.pid, color="always")
    assert "true or false" in server.call("ps", failed=True, target=many.pid, all="yes")
    assert "string or a number" in server.call("ps", failed=True, target=many.pid, sort=["name"])
    assert server.ask("tools/call", name="cancel", arguments={"target": many.pid})["error"]["code"] == -32602
    assert server.ask("tools/call", name="ps", arguments=[])["error"]["code"] == -32602
    assert server.ask("no/method")["error"]["code"] == -32601
    server.send("{")
    assert server.read()["error"]["code"] == -32700
    server.send("[" * 100000)
    assert server.read()["error"]["code"] == -32700
    server.send('"' + "x" * (2 << 20) + '"')
    assert server.read()["error"]["code"] == -32700
    assert server.ask("ping")["result"] == {}


@pytest.mark.parametrize("word", ["--help", "--tree=1", "-v", "x --all", "; true"])
def test_words_are_no_options(server, word):
    """What a client sends as a target or a task is that, whatever it looks like."""
    text = server.call("ps", failed=True, target=word)
    assert "No such file" in json.loads(text)["error"]["message"]


def test_cancelled_and_asked_meanwhile(server, many):
    """A call that a client cancels is not answered, and the one behind it is."""
    first = server.request("tools/call", name="check", arguments={"target": many.pid, "interval": 600})
    assert server.ask("ping")["result"] == {}, "nothing is heard while a command runs"
    second = server.request("tools/call", name="ps", arguments={"target": many.pid, "head": 1})
    server.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": first}}))
    answer = server.read()
    assert answer["id"] == second and not answer["result"]["isError"], answer


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return f.read().split()


def runs(pid):
    """Whether there is such a process: one that has ended may wait for a parent that asks."""
    try:
        with open("/proc/%s/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_no_command_outlives_it(many):
    s = Server()
    s.request("tools/call", name="check", arguments={"target": many.pid, "interval": 600})
    child, = wait_for(lambda: children(s.proc.pid))
    s.proc.kill()
    s.proc.wait()
    s.proc.stdin.close()
    s.proc.stdout.close()
    assert wait_for(lambda: not runs(child))
