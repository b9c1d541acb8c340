"""What a target says about itself, so that the tests can compare.

A target registers its loops and tasks here; tell() walks the tasks with what
Python itself offers (cr_await, gi_yieldfrom, ag_await, referents of the C
hops) and prints one line of JSON.  Runs on Python 3.8 to 3.15.
"""
import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
import types

HOPS = ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow",
        "anext_awaitable")


def frame_of(obj):
    """(frame, what it awaits, is a Python frame) of one link of the chain."""
    if isinstance(obj, types.CoroutineType):
        return obj.cr_frame, obj.cr_await
    if isinstance(obj, types.GeneratorType):
        return obj.gi_frame, obj.gi_yieldfrom
    if isinstance(obj, types.AsyncGeneratorType):
        return obj.ag_frame, obj.ag_await
    if type(obj).__name__ in HOPS:
        for r in gc.get_referents(obj):
            if (isinstance(r, (types.CoroutineType, types.GeneratorType,
                               types.AsyncGeneratorType))
                    or type(r).__name__ in HOPS):
                return None, r
    return None, None


def name_of(code):
    return getattr(code, "co_qualname", code.co_name)


def entry(frame, line=None):
    return {"function": name_of(frame.f_code),
            "line": frame.f_lineno if line is None else line,
            "file": frame.f_code.co_filename}


def await_stack(coro):
    """Outermost first."""
    out = []
    while coro is not None:
        frame, coro = frame_of(coro)
        if frame is not None:
            out.append(entry(frame))
    return out


def running_stack(task, ident):
    """The frames of the running task, from the stack of its thread."""
    frame = sys._current_frames().get(ident)
    first = frame_of(task.get_coro())[0]
    out = []
    while frame is not None:
        out.append(entry(frame))
        if frame is first:
            return out[::-1]
        frame = frame.f_back
    return None


@contextlib.contextmanager
def running_let_look():
    """Free-threaded, a task in its step is locked, also for who asks for its
    name; one that never ends lets go where all threads are made to stop."""
    over = threading.Event()

    def stop_all():
        while not over.wait(0.01):
            sys._current_frames()
    helper = threading.Thread(target=stop_all, daemon=True)
    locks = not getattr(sys, "_is_gil_enabled", lambda: True)()
    if locks:
        helper.start()
    try:
        yield
    finally:
        over.set()
        if locks:
            helper.join()


class Truth:
    def __init__(self):
        self.loops = []         # (loop, native id, ident)
        self.known = {}         # id(task) -> (task, what it must look like)
        self.lock = threading.Lock()

    def loop(self):
        """Registers the running loop with the thread it runs in."""
        loop = asyncio.get_running_loop()
        with self.lock:
            self.loops.append((loop, threading.get_native_id(),
                               threading.get_ident()))
        return loop

    def add(self, task, kind=None, state="waiting", on=None, awaited_by=None,
            name=None, tag=None, cancelling=None, coro=True):
        """kind: of its wait; on: the tasks it waits for; name: when asking
        for it would change it; tag: what the tests call it; state None: not
        to be compared, nor its stack; coro False: do not ask for it (an
        eager task that ended at once crashes early 3.12)."""
        with self.lock:
            self.known[id(task)] = (task, {
                "kind": kind, "state": state,
                "on": None if on is None else [hex(id(t)) for t in on],
                "name": name, "tag": tag, "cancelling": cancelling,
                "coro": coro,
                "awaited_by": (None if awaited_by is None else
                               [hex(id(t)) for t in awaited_by])})
        return task

    def all(self):
        with self.lock:
            known = dict(self.known)
        for loop, _, _ in self.loops:
            for _ in range(10):
                try:
                    for task in asyncio.all_tasks(loop):
                        if id(task) not in known:
                            known[id(task)] = (task, {})
                    break
                except RuntimeError:
                    time.sleep(0.01)
        return known

    def task(self, task, info):
        loop = task.get_loop()
        native = ident = None
        for known, n, i in self.loops:
            if known is loop:
                native, ident = n, i
        coro = task.get_coro() if info.get("coro", True) else None
        state = info.get("state", "waiting")
        if state is None:
            stack = None
        elif state == "running":
            stack = running_stack(task, ident)
        elif coro is None or state in ("finished", "failed", "cancelled"):
            stack = []
        else:
            stack = await_stack(coro)
        by = None
        if hasattr(task, "_asyncio_awaited_by"):
            by = sorted(hex(id(t)) for t in (task._asyncio_awaited_by or ()))
        return {"id": hex(id(task)),
                "name": info.get("name") or task.get_name(),
                "coro": getattr(coro, "__qualname__", None),
                "type": type(task).__qualname__,
                "state": state, "loop": hex(id(loop)), "thread": native,
                "cancelling": info.get("cancelling"),
                "kind": info.get("kind"), "on": info.get("on"),
                "awaited_by": info.get("awaited_by"),
                "asyncio_awaited_by": by, "tag": info.get("tag"),
                "stack": stack}

    def snapshot(self):
        return [self.task(t, i) for t, i in self.all().values()]

    def account(self, **more):
        out = {"pid": os.getpid(), "python": sys.version.split()[0],
               "loops": [{"id": hex(id(l)), "thread": n}
                         for l, n, _ in self.loops],
               "tasks": self.snapshot()}
        out.update(more)
        return out

    def tell(self, **more):
        print(json.dumps(self.account(**more)), flush=True)

    def tell_when_settled(self, **more):
        """From a thread of its own, once nothing changes any more."""
        def teller():
            before, same = None, 0
            with running_let_look():
                while same < 3:
                    time.sleep(0.1)
                    try:
                        now = [(t["id"], t["stack"]) for t in self.snapshot()]
                        busy = any(getattr(l, "_ready", None) for l, _, _
                                   in self.loops[:1])
                    except RuntimeError:
                        now, busy = None, True
                    same = same + 1 if now == before and not busy else 0
                    before = now
                out = self.account(**more)
            print(json.dumps(out), flush=True)
            threading.Event().wait()
        threading.Thread(target=teller, name="teller", daemon=True).start()


FOREVER = 10 ** 6


def run(main, argv=None):
    """asyncio.run, on uvloop when --uvloop is among the arguments."""
    if "--uvloop" in (sys.argv if argv is None else argv):
        import uvloop
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    return asyncio.run(main)
