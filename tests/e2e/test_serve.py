"""serve: who gets in, the JSON that is the commands' own, the metrics, targets that go."""
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import urllib.parse

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as classic

from conftest import ASYNCMON, OWN, call, descendants, end_tree, pick, proc_status, usable, wait_for
import schema


@pytest.fixture(params=[OWN, "sid-3.14"])
def two(request):
    return usable(pick(request.param))


class Server:
    def __init__(self, words, env=None):
        self.err = os.memfd_create("stderr")
        self.proc = subprocess.Popen(
            [ASYNCMON, "serve", "--listen", "127.0.0.1:0"] + [str(w) for w in words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.err, start_new_session=True, env=dict(os.environ, **(env or {})))
        self.url = self.proc.stdout.readline().decode().strip()
        assert self.url, "it did not start: " + self.stderr()
        parts = urllib.parse.urlsplit(self.url)
        self.port = parts.port
        self.token = urllib.parse.parse_qs(parts.query)["token"][0]
        self.cookie = None

    def stderr(self):
        return os.pread(self.err, 1 << 16, 0).decode()

    def ask(self, path, method="GET", headers=None, body=None, auth=True):
        """Status, headers in small letters, body."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            h = dict(headers or {})
            if auth and method == "GET":
                h.setdefault("Authorization", "Bearer " + self.token)
            c.request(method, path, body=body, headers=h)
            r = c.getresponse()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read().decode("utf-8", "strict")
        finally:
            c.close()

    def json(self, path, status=200):
        got, headers, body = self.ask(path)
        assert got == status, (got, body[:500])
        assert headers["content-type"] == "application/json"
        return json.loads(body)

    def part(self, name):
        """The process of it that is called so."""
        def find():
            return [p for p in descendants(self.proc.pid) for status in [proc_status(p)]
                    if status and status["Name"] == name and status["PPid"] == str(self.proc.pid)]
        return wait_for(find)[0]

    def stop(self):
        pids = list(descendants(self.proc.pid))
        self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(20)
        except subprocess.TimeoutExpired:
            end_tree(self.proc.pid)
            self.proc.wait()
            raise
        finally:
            self.proc.stdout.close()
        os.close(self.err)
        assert status == 0
        alive = lambda p: (proc_status(p) or {"State": "Z"})["State"][0] != "Z"  # noqa: E731
        assert wait_for(lambda: not any(map(alive, pids))), "processes were left behind"


@pytest.fixture
def serve():
    """serve(words…) starts a server; at the end each must stop when it is told to."""
    with contextlib.ExitStack() as stack:
        def start(*words, **kw):
            server = Server(words, **kw)
            stack.callback(server.stop)
            return server
        yield start


# ---- the commands' JSON ----

SAME = [("ps", "ps", []), ("tree", "tree", []), ("why", "why", []), ("stacktrace", "stacktrace", []),
        ("ps?state=waiting&sort=id", "ps", ["--state", "waiting", "--sort", "id"]),
        ("ps?group-by=coro", "ps", ["--group-by", "coro"]), ("ps?all=1", "ps", ["--all"])]


def stripped(value):
    """Without times, which go on between two looks, and what is known only where threads were
    looked at, as they are for all who ask over HTTP."""
    if isinstance(value, dict):
        return {k: stripped(v) for k, v in value.items()
                if k not in ("wakers", "paused_us", "taken_at", "age", "deadline_in", "busy", "longest_poll", "polls", "stats", "timed")}
    return [stripped(v) for v in value] if isinstance(value, list) else value


def test_json_is_the_commands(two, target, serve, asyncmon):
    """What comes over HTTP is what the command prints with --json."""
    t = target(two, "shapes.py")
    s = serve(t.pid)
    for path, command, words in SAME:
        over = s.json("/api/1/%d/%s" % (t.pid, path))
        schema.hold([command], over)
        assert stripped(over) == stripped(asyncmon.json(command, *words, t.pid)), path
    named = next(iter(t.tasks()))
    over = s.json("/api/1/%d/where?task=%s" % (t.pid, named))
    schema.hold(["where"], over)
    assert stripped(over) == stripped(asyncmon.json("where", t.pid, named))
    assert over["tasks"][0]["id"] == named
    assert s.json("/api/1/%d/why?task=%s" % (t.pid, named))["chains"][0]["task"] == named
    assert sorted(x["id"] for x in s.json("/api/1/%d/ps" % t.pid)["tasks"]) == sorted(t.tasks())


def test_the_schema_is_served(python, target, serve):
    s = serve(target(python, "shapes.py").pid)
    status, headers, body = s.ask("/asyncmon-1.schema.json")
    assert status == 200 and headers["content-type"] == "application/schema+json"
    assert json.loads(body) == schema.SCHEMA


def test_check_finds_what_check_finds(two, target, serve, asyncmon):
    t = target(two, "cycle.py")
    s = serve(t.pid)
    over = s.json("/api/1/%d/check" % t.pid)
    schema.hold(["check"], over)
    rules = {f["rule"] for f in over["findings"]}
    told = {f["rule"] for f in asyncmon.json("check", t.pid, rc=1)["findings"]}
    assert "await-cycle" in rules and rules <= told | {"blocked-loop"}


def test_errors_are_objects(python, target, serve):
    t = target(python, "shapes.py")
    s = serve(t.pid)
    for path, status, code in [("ps?colour=1", 400, "usage"), ("ps?state=odd", 400, "usage"),
                               ("where?task=nobody", 404, "not-found"), ("where", 400, "usage"),
                               ("ps-terminated", 404, "unsupported"), ("nothing", 404, "not-found")]:
        answer = s.json("/api/1/%d/%s" % (t.pid, path), status)
        schema.hold(["ps"], answer)
        assert answer["error"]["code"] == code, path
    assert s.json("/api/1/1/ps", 404)["error"]["code"] == "not-found"


def test_two_targets_and_one_that_dies(python, target, serve):
    a, b = target(python, "shapes.py"), target(python, "cycle.py")
    s = serve(a.pid, b.pid)
    answers = s.json("/api/1/ps")["answers"]
    assert [x["target"]["pid"] for x in answers] == [a.pid, b.pid]
    b.dead = True
    os.kill(b.pid, signal.SIGKILL)
    b.proc.wait()

    def noticed():
        gone = {x["key"]: x["ended"] for x in s.json("/api/1/targets")["targets"]}
        return gone == {str(a.pid): False, str(b.pid): True}
    assert wait_for(noticed)
    # Its last look is what there is of it.
    assert s.json("/api/1/%d/ps" % b.pid)["target"]["pid"] == b.pid
    assert s.json("/api/1/%d/ps" % a.pid)["tasks"]
    assert 'pid="%d"' % b.pid not in s.ask("/metrics")[2]


def test_found_as_they_come(python, target, serve):
    first = target(python, "shapes.py")
    s = serve("--match", "*holders.py*")
    assert s.json("/api/1/ps") == {"format": 1, "answers": []}
    late = target(python, "holders.py")
    assert wait_for(lambda: any(x["key"] == str(late.pid) for x in s.json("/api/1/targets")["targets"]))
    pids = [x["target"]["pid"] for x in s.json("/api/1/ps")["answers"] if "target" in x]
    assert late.pid in pids and first.pid not in pids


def test_a_look_is_shared(python, target, serve):
    """Those who ask within an interval get one look, at once."""
    t = target(python, "shapes.py")
    s = serve(t.pid, "--interval", "1h")
    path = "/api/1/%d/ps" % t.pid
    bodies = []
    threads = [threading.Thread(target=lambda: bodies.append(s.ask(path)[2])) for _ in range(20)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    assert len(bodies) == 20 and len(set(bodies)) == 1
    assert "asyncmon_look_seconds_count" in s.ask("/metrics")[2]


# ---- metrics ----

def test_metrics(two, target, serve, asyncmon):
    t = target(two, "shapes.py")
    s = serve(t.pid)
    status, headers, text = s.ask("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert status == 200 and headers["content-type"].startswith("application/openmetrics-text")
    families = {f.name: f for f in openmetrics.text_string_to_metric_families(text)}
    status, headers, text = s.ask("/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {f.name for f in classic.text_string_to_metric_families(text)} == set(families)
    told = asyncmon.json("ps", "--all", t.pid)["tasks"]
    states = {x.labels["state"]: x.value for x in families["asyncmon_tasks"].samples}
    for state in states:
        assert states[state] == sum(x["state"] == state for x in told), state
    coros = families["asyncmon_tasks_by_coro"].samples
    assert sum(x.value for x in coros) == sum(x["state"] in ("running", "runnable", "waiting") for x in told)
    assert len(coros) <= 21 and {x.labels["pid"] for x in coros} == {str(t.pid)}
    assert families["asyncmon_loop_ready"].samples
    roots = {x.labels["kind"]: x.value for x in families["asyncmon_waiting_for_root"].samples}
    assert sum(roots.values()) == sum(r["waiting"] for r in asyncmon.json("why", t.pid)["roots"])


# ---- who gets in ----

def test_a_token_is_needed(python, target, serve):
    s = serve(target(python, "shapes.py").pid)
    for path in ("/", "/metrics", "/api/1/ps", "/asyncmon-1.schema.json", "/assets/style.css"):
        status, headers, body = s.ask(path, auth=False)
        assert status == 401 and s.token not in body, path
        assert s.ask(path, headers={"Authorization": "Bearer " + s.token[:-1] + "x"})[0] == 401
        assert s.ask(path + "?token=" + "0" * len(s.token), auth=False)[0] == 401
    status, headers, _ = s.ask("/?token=%s&sort=a%%26b" % s.token, auth=False)
    assert status == 303 and headers["location"] == "/?sort=a%26b"
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and s.token not in cookie
    pair = cookie.split(";")[0]
    assert s.ask("/api/1/ps", headers={"Cookie": "a=b; " + pair}, auth=False)[0] == 200
    assert s.ask("/api/1/ps", headers={"Cookie": pair[:-1]}, auth=False)[0] == 401
    assert s.ask("/api/1/ps?token=" + s.token, auth=False)[0] == 200
    # Where the browser is sent to is never another host.
    assert s.ask("//evil.example/?token=" + s.token, auth=False)[1].get("location", "/").startswith("/evil.example")


@pytest.mark.parametrize("host,status", [
    ("evil.example", 421), ("localhost.evil.example:80", 421), ("127.0.0.1.evil.example", 421), ("", 421),
    ("localhost:1", 200), ("[::1]:80", 200), ("127.0.0.1", 200), ("known.example:80", 200), ("a@localhost", 421),
    ("[::1]evil", 421), ("[localhost]", 421)])
def test_host(python, shared, serve, host, status):
    s = serve(shared(python, "shapes.py").pid, "--host", "known.example")
    assert s.ask("/api/1/ps", headers={"Host": host})[0] == status


def test_origin_and_methods(python, target, serve):
    s = serve(target(python, "shapes.py").pid)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"):
        assert s.ask("/api/1/ps", headers={"Origin": origin})[0] == 403, origin
    assert s.ask("/api/1/ps", headers={"Origin": "http://127.0.0.1:%d" % s.port})[0] == 200
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"):
        assert s.ask("/api/1/ps", method=method)[0] in (400, 405), method


def test_headers_of_all_answers(python, target, serve):
    s = serve(target(python, "shapes.py").pid)
    for path, auth in (("/api/1/ps", True), ("/api/1/ps", False), ("/nothing", True), ("/metrics", True)):
        headers = s.ask(path, auth=auth)[1]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


def raw(port, data, timeout=30):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as c:
        c.sendall(data)
        out = b""
        with contextlib.suppress(ConnectionError):
            while True:
                piece = c.recv(65536)
                if not piece:
                    break
                out += piece
        return out


def test_odd_requests(python, target, serve):
    """None of them brings it down, and none gets in."""
    s = serve(target(python, "shapes.py").pid)
    head = b"Host: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\n" % s.token.encode()
    for line in (b"GET /%s HTTP/1.1\r\n" % (b"a" * 60000), b"GET /api/1/ps?%s HTTP/1.1\r\n" % (b"a=b&" * 500),
                 b"GET /api/1/ps?filter=%00x HTTP/1.1\r\n", b"GET /../../etc/passwd HTTP/1.1\r\n",
                 b"GET /assets/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n", b"GET / HTTP/9.9\r\n", b"\0\0\0\r\n",
                 b"POST /act HTTP/1.1\r\nContent-Length: 9999999999\r\n", b"GET \xff\xfe HTTP/1.1\r\n"):
        got = raw(s.port, line + head + b"\r\n")
        assert not got or int(got.split()[1]) >= 400, (line[:40], got[:80])
        assert b"root:" not in got
    assert s.ask("/api/1/ps")[0] == 200


def test_a_flood_of_connections(python, target, serve):
    """Those that ask nothing do not keep others out for good."""
    s = serve(target(python, "shapes.py").pid)
    with contextlib.ExitStack() as stack:
        idle = []
        for _ in range(200):
            c = stack.enter_context(socket.create_connection(("127.0.0.1", s.port), timeout=30))
            idle.append(c)
        for c in idle[::2]:
            with contextlib.suppress(OSError):
                c.sendall(b"GET / HTTP/1.1\r\nHost: loc")

        def served():
            with contextlib.suppress(OSError, http.client.HTTPException):
                return s.ask("/api/1/ps")[0] == 200
        assert wait_for(served, 60)


def test_secrets_are_in_no_log(python, target, serve):
    s = serve(target(python, "shapes.py").pid)
    s.ask("/?token=" + s.token, auth=False)
    s.ask("/metrics")
    for pid in [s.proc.pid] + list(descendants(s.proc.pid)):
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            assert s.token.encode() not in f.read()
    assert s.token not in s.stderr()


def test_the_server_has_no_rights(python, target, serve):
    s = serve(target(python, "shapes.py").pid)
    front = s.part("asyncmon-http")

    def dropped():
        status = proc_status(front)
        return status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0 and (
            os.getuid() != 0 or status["Uid"].split() == ["65534"] * 4)
    assert wait_for(dropped), proc_status(front)


def test_who_looks_is_begun_anew(python, target, serve):
    """What it reads may bring the process down that looks; the next request is answered."""
    t = target(python, "shapes.py")
    s = serve(t.pid)
    assert s.ask("/api/1/ps")[0] == 200
    os.kill(s.part("asyncmon-look"), signal.SIGSEGV)
    assert wait_for(lambda: s.ask("/api/1/ps")[0] == 200)
    assert "another takes its place" in s.stderr()


def test_usage():
    for words, said in [(["serve"], "needs targets"), (["serve", "--all", "--listen", "here:80"], "takes an address"),
                        (["serve", "--all", "--listen", "127.0.0.1:99999"], "not a port"),
                        (["serve", "--all", "--interval", "0"], "--interval takes")]:
        a = call(*words)
        assert a.rc == 2 and said in a.err, a.err
    assert call("serve", "999999999").rc == 3
