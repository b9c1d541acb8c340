"""serve: its pages, as a browser without JavaScript reads them."""
import html.parser
import re
import shutil
import signal
import subprocess

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from conftest import OWN, pick, usable, wait_for
from test_serve import serve  # noqa: F401

VIEWS = ("tasks", "tree", "groups", "why", "check", "threads")
VOID = {"meta", "link", "input", "img", "br", "hr"}


@pytest.fixture(params=[OWN, "sid-3.14"])
def two(request):
    return usable(pick(request.param))


class Page(html.parser.HTMLParser):
    """Elements with their attributes and texts. Fails where they do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not [t for t in self.open if t not in ("p", "li", "html")], self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))

    def text_of(self, tag):
        return "".join(t for inside, t in self.texts if tag in inside)

    def links(self):
        return [a["href"] for tag, a in self.elements if tag == "a"]


def page(server, path, status=200):
    got, headers, body = server.ask(path)
    assert got == status, (path, got, body[:400])
    assert headers["content-type"] == "text/html; charset=utf-8"
    return Page(body)


def test_every_task_has_its_page(two, target, serve):  # noqa: F811
    t = target(two, "shapes.py")
    s = serve(t.pid)
    listed = set()
    first = page(s, "/t/%d/tasks" % t.pid)
    for link in first.links():
        if "/task?id=" in link:
            listed.add(link.partition("id=")[2])
    live = t.tasks()
    assert listed and listed <= set(live) and len(listed) == min(50, len(live))
    for tid in sorted(listed)[:8]:
        one = page(s, "/t/%d/task?id=%s" % (t.pid, tid))
        assert tid in one.text_of("dd")
        for frame in live[tid].get("stack") or []:
            assert "%s:%d" % (frame["file"], frame["line"]) in one.text_of("ol")


def test_links_lead_somewhere(two, target, serve):  # noqa: F811
    """From the overview on, all links of all views."""
    t = target(two, "cycle.py")
    s = serve(t.pid)
    todo, seen = ["/"], set()
    while todo and len(seen) < 80:
        path = todo.pop(0)
        if path in seen:
            continue
        seen.add(path)
        status, headers, body = s.ask(path)
        # Without an agent there are none that ended.
        assert status == (404 if path.endswith("/ended") else 200), (path, body[:300])
        if headers["content-type"].startswith("text/html"):
            todo += Page(body).links()
    assert {"/t/%d/%s" % (t.pid, v) for v in VIEWS} <= seen and "/metrics" in seen


def test_findings_name_their_tasks(two, target, serve, asyncmon):  # noqa: F811
    t = target(two, "cycle.py")
    s = serve(t.pid)
    found = page(s, "/t/%d/check" % t.pid)
    assert "await-cycle" in found.text_of("li")
    ids = {i for f in asyncmon.json("check", "--rule", "await-cycle", t.pid, rc=1)["findings"] for i in f["tasks"]}
    assert ids & {link.partition("id=")[2] for link in found.links()}
    assert "deadlock" in page(s, "/t/%d/why" % t.pid).text_of("li")


def test_pages_of_one_look(python, target, serve):  # noqa: F811
    """Going through the pages shows each task once, whatever comes and goes meanwhile."""
    many = target(python, "many.py", 1234)
    s = serve(many.pid, "--interval", "100ms")
    path, ids, pages = "/t/%d/tasks?sort=id" % many.pid, [], 0
    while path:
        got = page(s, path)
        ids += [link.partition("id=")[2] for link in got.links() if "/task?id=" in link]
        path = next((a["href"] for tag, a in got.elements if tag == "a" and a.get("rel") == "next"), None)
        pages += 1
    assert pages == 25 and len(ids) == len(set(ids)) == 1235
    assert ids == sorted(ids, key=lambda x: int(x, 16))
    filtered = page(s, "/t/%d/tasks?filter=many-12&page=2" % many.pid)
    shown = re.search(r"(\d+) of 1235 tasks", filtered.text_of("p"))
    assert shown and int(shown[1]) == sum("many-12" in "many-%d" % i for i in range(1234))


def test_hostile_names(two, target, serve):  # noqa: F811
    """Names stay text: no element, attribute or sample comes of them."""
    t = target(two, "markup.py")
    s = serve(t.pid, "--allow-actions")
    paths = ["/t/%d/%s" % (t.pid, v) for v in VIEWS]
    paths += ["/t/%d/tasks?group-by=coro" % t.pid, "/t/%d/tasks?filter=%%3Cscript%%3Ealert(5)%%3C/script%%3E" % t.pid,
              "/t/%d/tasks?filter=%%22%%20onfocus=%%22alert(6)" % t.pid, "/"]
    paths += ["/t/%d/task?id=%s" % (t.pid, x["id"]) for x in t.truth["tasks"]]
    paths += [link for link in page(s, "/t/%d/tasks?group-by=coro" % t.pid).links() if "filter=" in link]
    for path in paths:
        got = page(s, path)
        scripts = [a for tag, a in got.elements if tag == "script"]
        assert all(set(a) <= {"src", "defer"} and a["src"].startswith("/assets/") for a in scripts) and len(scripts) == 2
        for tag, attrs in got.elements:
            assert tag != "img" and not [k for k in attrs if k.startswith("on") or k == "style"], (path, tag, attrs)
            for key in ("href", "src", "action", "hx-get"):
                assert attrs.get(key, "/").startswith("/") and not attrs.get(key, "/").startswith("//"), attrs
    names = page(s, "/t/%d/tasks" % t.pid).text_of("table")
    assert "<script>alert(1)</script>" in names and "\x1b" not in names and "\u202e" not in names
    for status in (page(s, "/t/%d/task?id=%%3Cscript%%3E" % t.pid, 404), page(s, "/t/<script>/tasks", 404)):
        assert "script" in status.text_of("p") or "process" in status.text_of("p")
    text = s.ask("/metrics", headers={"Accept": "application/openmetrics-text"})[2]
    families = {f.name: f for f in openmetrics.text_string_to_metric_families(text)}
    assert "asyncmon_evil" not in families
    coros = families["asyncmon_tasks_by_coro"].samples
    assert sum(x.value for x in coros) == len(t.truth["tasks"]) + 1
    assert len({tuple(sorted(x.labels.items())) for x in coros}) == len(coros) <= 21


def test_acting(two, target, serve, asyncmon):  # noqa: F811
    t = target(two, "shapes.py")
    quiet, s = serve(t.pid), serve(t.pid, "--allow-actions")
    victim = t.tagged("sleep")["id"]
    assert not [1 for tag, a in page(quiet, "/t/%d/threads" % t.pid).elements if a.get("method") == "post"]
    path = "/t/%d/task?id=%s" % (t.pid, victim)
    assert not [1 for tag, a in page(quiet, path).elements if a.get("method") == "post"]
    form = {a["name"]: a["value"] for tag, a in page(s, path).elements if tag == "input" and a.get("type") == "hidden"}
    assert form["task"] == victim

    def send(server, fields, **headers):
        pair = server.ask("/?token=" + server.token, auth=False)[1]["set-cookie"].split(";")[0]
        h = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": pair}
        h.update({k.replace("_", "-"): v for k, v in headers.items()})
        body = "&".join("%s=%s" % x for x in fields.items())
        return server.ask("/act", method="POST", headers=h, body=body)[0]
    assert send(s, {k: v for k, v in form.items() if k != "form"}) == 403
    assert send(s, dict(form, form="0" * 32)) == 403
    assert send(s, form, Origin="http://evil.example") == 403
    assert send(s, form, Sec_Fetch_Site="cross-site") == 403
    assert send(s, form, Cookie="a=b") == 401
    assert send(s, form, Authorization="Bearer " + s.token, Cookie="") == 401
    assert send(s, form, Content_Type="text/plain") == 415
    assert send(quiet, form) == 403
    assert victim in {x["id"] for x in asyncmon.json("ps", t.pid)["tasks"]}
    assert send(s, dict(form, task="--yes")) == 400
    assert send(s, form) == 200
    assert wait_for(lambda: victim not in {x["id"] for x in asyncmon.json("ps", t.pid)["tasks"]})


def test_a_signal(python, target, serve):  # noqa: F811
    t = target(python, "shapes.py")
    s = serve(t.pid, "--allow-actions")
    form = {a["name"]: a["value"] for tag, a in page(s, "/t/%d/threads" % t.pid).elements
            if tag == "input" and a.get("type") == "hidden"}
    pair = s.ask("/?token=" + s.token, auth=False)[1]["set-cookie"].split(";")[0]
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": pair}
    t.dead = True
    body = "&".join("%s=%s" % x for x in dict(form, signal="SIGTERM").items())
    assert s.ask("/act", method="POST", headers=headers, body=body)[0] == 200
    assert t.proc.wait(20) == -signal.SIGTERM


def test_ended_tasks(two, asyncmon, target, serve):  # noqa: F811
    t = target(two, "shapes.py")
    assert asyncmon("inject", t.pid).rc == 0
    assert asyncmon("cancel", t.pid, t.tagged("sleep")["id"]).rc == 0
    s = serve(t.pid)
    told = asyncmon.json("ps-terminated", t.pid)["terminated"]
    links = [x for x in page(s, "/t/%d/ended" % t.pid).links() if "/ended-task?id=" in x]
    assert told and {int(x.partition("id=")[2]) for x in links} == {x["serial"] for x in told}
    assert "cancelled" in page(s, links[0]).text_of("h1")


def test_etags_and_sizes(python, target, serve):  # noqa: F811
    t = target(python, "shapes.py")
    s = serve(t.pid, "--interval", "1h")
    total = 0
    for path in ("/t/%d/tasks" % t.pid, "/assets/style.css", "/assets/page.js", "/assets/htmx.js"):
        status, headers, body = s.ask(path)
        if status == 404:
            assert path == "/assets/htmx.js"
            continue
        assert s.ask(path, headers={"If-None-Match": headers["etag"]})[0] == 304
        total += len(body)
    assert total < 150000


def test_a_core(python, target, serve, tmp_path):  # noqa: F811
    if not shutil.which("gcore"):
        pytest.skip("gcore is not installed")
    t = target(python, "shapes.py")
    core = str(tmp_path / "core")
    subprocess.run(["gcore", "-o", core, str(t.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    s = serve("%s.%d" % (core, t.pid))
    assert [x["kind"] for x in s.json("/api/1/targets")["targets"]] == ["file"]
    assert len(page(s, "/t/file1/tasks").links()) > 10
    assert sorted(x["id"] for x in s.json("/api/1/file1/ps")["tasks"]) == sorted(t.tasks())


def test_a_saved_look(python, target, serve, asyncmon, tmp_path):  # noqa: F811
    t = target(python, "shapes.py")
    saved = tmp_path / "look"
    assert asyncmon("save", t.pid, saved).rc == 0
    s = serve(saved)
    assert sorted(x["id"] for x in s.json("/api/1/file1/ps")["tasks"]) == sorted(t.tasks())
    one = page(s, "/t/file1/task?id=" + t.tagged("sleep")["id"])
    assert t.tagged("sleep")["id"] in one.text_of("dd")


def test_a_frozen_target_does_not_stop_it(python, target, serve):  # noqa: F811
    t, u = target(python, "shapes.py"), target(python, "cycle.py")
    s = serve(t.pid, u.pid)
    t.proc.send_signal(signal.SIGSTOP)
    t.frozen = True
    assert page(s, "/t/%d/tasks" % t.pid).links()
    assert page(s, "/t/%d/tasks" % u.pid).links()
