"""Compares what asyncmon says with what the target says of itself. Each comparison tells
of tasks that are missing, and of having nothing to compare: an answer without tasks
differs from every target that has some."""


def frames(stack):
    """Without those that Cython made, which have no lines, and which a target's own
    account does not see."""
    return [(f["function"], f["line"]) for f in stack if f["line"] is not None]


def files(stack):
    return [f["file"] for f in stack if f["line"] is not None]


def missing(told, seen):
    if not told:
        return ["nothing to compare: the target told of no task"]
    return ["missing: %s %r" % (i, told[i]["name"]) for i in sorted(set(told) - set(seen))]


def differences(told, seen, stacks=True):
    """Sentences about every way in which the tasks `seen` differ from `told`
    (both {id: task})."""
    out = missing(told, seen)
    for i in sorted(set(seen) - set(told)):
        out.append("invented: %s %r" % (i, seen[i]["name"]))
    for i in sorted(set(seen) & set(told)):
        t, s = told[i], seen[i]

        def differ(key, want, have):
            if want != have:
                out.append("%s (%s): %s: told %r, seen %r"
                           % (t["tag"] or t["name"][:40], i, key, want, have))
        differ("name", t["name"], s["name"])
        if t["coro"] is not None:
            differ("coro", t["coro"], s["coro"])
        differ("loop", t["loop"], s["loop"])
        differ("thread", t["thread"], s["thread"])
        if t["state"] is not None:
            differ("state", t["state"], s["state"])
        if stacks and t["stack"] is not None:
            differ("stack", frames(t["stack"]), frames(s["stack"]))
            if frames(t["stack"]) == frames(s["stack"]):
                differ("files", files(t["stack"]), files(s["stack"]))
    return out


def awaited_by(told, seen):
    out, compared = missing(told, seen), 0
    for i in set(told) & set(seen):
        want = told[i]["awaited_by"]
        if want is None:
            want = told[i]["asyncio_awaited_by"]
        compared += want is not None
        if want is not None and sorted(want) != sorted(seen[i]["awaited_by"]):
            out.append("%s: awaited_by: told %s, seen %s" % (
                told[i]["tag"], sorted(want), sorted(seen[i]["awaited_by"])))
    return out if compared else out + ["nothing to compare: the target told of no awaiter"]


def waits(told, seen):
    out, compared = missing(told, seen), 0
    for i in set(told) & set(seen):
        t, w = told[i], seen[i]["waiting_on"]
        if t["kind"] is None:
            continue
        compared += 1
        have = w and w["kind"]
        if have != t["kind"]:
            out.append("%s: kind: told %s, seen %s" % (t["tag"], t["kind"],
                                                       have))
        elif t["on"] is not None and sorted(t["on"]) != sorted(w["tasks"]):
            out.append("%s: waits on: told %s, seen %s"
                       % (t["tag"], sorted(t["on"]), sorted(w["tasks"])))
    return out if compared else out + ["nothing to compare: the target told of no wait"]


def by_id(answer):
    ids = [t["id"] for t in answer["tasks"]]
    assert len(ids) == len(set(ids)), "a task is listed twice"
    return {t["id"]: t for t in answer["tasks"]}
