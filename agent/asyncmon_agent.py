"""asyncmon's agent: remembers who created, cancelled and ended each asyncio task.

    import asyncmon_agent
    asyncmon_agent.start()        # history=1000 ended tasks, memory=64 MiB at most

    @asyncmon_agent.preserve      # its terminations are not pushed out by others
    async def worker(): ...

It has no thread, no socket and no port; `asyncmon` reads what it wrote from outside.
"""
import _thread
import operator
import os
import sys
import weakref

__all__ = ["start", "stop", "preserve", "running"]

_native = None
_lock = _thread.RLock(), os.getpid()
_started = False
_waiting = []
_replaced = []  # (owner, name, what it was, what stands in for it)
_classes = weakref.WeakSet()  # those that were looked at for a cancel of their own
_watched = None
# As enum wrap in agent.h has them.
_REGISTER, _ENTER, _LEAVE, _SWAP, _CANCEL, _DEL, _SIGNALLED = range(7)


def _change():
    """The lock of those who start or stop. In a child of fork() it is another: a thread that
    is not there may hold that one."""
    global _lock
    if _lock[1] != os.getpid():
        _lock = _thread.RLock(), os.getpid()
    return _lock[0]


def _load():
    global _native
    if _native is None:
        import importlib.machinery
        import importlib.util
        path = os.environ.get("ASYNCMON_AGENT_SO") or os.path.join(
            os.path.dirname(os.path.abspath(__file__)), "libasyncmon-agent.so")
        name = "_asyncmon_agent"
        spec = importlib.util.spec_from_loader(
            name, importlib.machinery.ExtensionFileLoader(name, path))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _native = module
    return _native


class _Loop:
    """Just enough of an event loop for one task to take its steps in."""

    def __init__(self):
        self.calls = []

    def call_soon(self, callback, *args, context=None):
        self.calls.append((callback, args))

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def call_exception_handler(self, context):
        pass


class _Probed(Exception):
    pass


def _probe(native, _asyncio):
    """One task of our own, run by hand: gives the two callables that run tasks, and
    compares what the agent reads with what Python says."""
    loop = _Loop()
    running = _asyncio._get_running_loop()
    # Up to 3.13 a loop has a current task, from then on a thread has one.
    swap = _asyncio._swap_current_task if sys.version_info >= (3, 14) else None
    future = _asyncio.Future(loop=loop)
    exc = _Probed()
    task = None

    async def body():
        await future
        raise exc

    def check(state, exception=None):
        why = native.verify_task(task, coro, "asyncmon-probe", coro.__qualname__, exception, state)
        if why:
            raise RuntimeError(why)

    current = swap(running, None) if swap and running is not None else None
    _asyncio._set_running_loop(loop)
    native.mute(True)
    try:
        coro = body()
        task = _asyncio.Task(coro, loop=loop, name="asyncmon-probe")
        check(0)
        step = loop.calls.pop()[0]
        step()
        future.set_result(None)
        wakeup, args = loop.calls.pop()
        wakeup(*args)
        check(2, task.exception())
        traceback = exc.__traceback__
        frames = []
        while traceback is not None:
            frames.insert(0, (traceback.tb_frame.f_code, traceback.tb_lasti))
            traceback = traceback.tb_next
        why = native.verify_stack(frames, exc.__traceback__)
        if why:
            raise RuntimeError(why)
        frame, frames = sys._getframe(), []
        while frame is not None:
            frames.append((frame.f_code, frame.f_lasti))
            frame = frame.f_back
        why = native.verify_stack(frames, None)
        if why:
            raise RuntimeError(why)
        _probe_cancelled(native, _asyncio, loop)
    finally:
        native.mute(False)
        if task is not None and task.done():
            _forget(task)
        exc.__traceback__ = None
        _asyncio._set_running_loop(running)
        if current is not None:
            swap(running, current)
    return step, wakeup


def _forget(task):
    """From 3.12 on a failed task keeps its traceback until its result is asked for; in that
    are the frames that hold the task, which would then live until a collection."""
    try:
        task.result()
    except BaseException:
        pass


def _probe_cancelled(native, _asyncio, loop):
    """Another task, which is cancelled while it waits."""
    future, seen = _asyncio.Future(loop=loop), []

    async def body():
        try:
            await future
        except BaseException as e:
            seen.append(e)
            raise

    task = _asyncio.Task(body(), loop=loop, name="asyncmon-probe")
    loop.calls.pop()[0]()
    task.cancel()
    wakeup, args = loop.calls.pop()
    wakeup(*args)
    why = native.verify_cancelled(task, seen[0])
    seen.pop().__traceback__ = None
    if why:
        raise RuntimeError(why)


def _subclasses(cls, found):
    for sub in type.__subclasses__(cls):
        if sub not in found:
            found.append(sub)
            _subclasses(sub, found)
    return found


def _replace_functions():
    """Stands in for functions of asyncio.tasks that tasks in Python are made of; False
    when that module is not there, or not all of it yet."""
    names = vars(sys.modules["asyncio.tasks"]) if "asyncio.tasks" in sys.modules else {}
    # Of all that is needed this is defined last.
    if "_c_leave_task" not in names:
        return False
    if _replaced:
        return True
    Task = names["_PyTask"]
    places = [(Task, "cancel", _CANCEL), (Task, "__del__", _DEL)]
    if sys.version_info >= (3, 14):
        module = sys.modules["asyncio.tasks"]
        places += [(module, "_py_register_task", _REGISTER), (module, "_py_enter_task", _ENTER),
                   (module, "_py_leave_task", _LEAVE), (module, "_py_swap_current_task", _SWAP)]
    for owner, name, kind in places:
        function = vars(owner).get(name)
        if callable(function):
            _replace(owner, name, kind, function)
    return True


def _replace(owner, name, kind, function):
    setattr(owner, name, _native.wrap(kind, function))
    _replaced.append((owner, name, function, vars(owner)[name]))


def _look_at_class(cls):
    """A class of tasks that is neither asyncio's nor derived from it: its cancel is its own."""
    if cls in _classes:
        return
    _classes.add(cls)
    if issubclass(cls, sys.modules["asyncio.tasks"]._PyTask):
        return
    for owner in cls.__mro__:
        function = vars(owner).get("cancel")
        if function is not None:
            if type(function) is type(_look_at_class):
                _replace(owner, "cancel", _CANCEL, function)
            return


def _put_back_functions():
    _classes.clear()
    while _replaced:
        owner, name, function, ours = _replaced.pop()
        if vars(owner).get(name) is ours:
            setattr(owner, name, function)


class _Later:
    """The agent may come while asyncio is imported, of which the tasks are a late part:
    looks whether they are there now each time that something else is imported."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if not _replace_functions():
            return None
        # Who asks goes through the list by number: one that goes out of it hides the next.
        sys.meta_path.remove(cls)
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                return spec
        return None


def _handler_set(handler):
    """The function that a signal's handler comes down to."""
    import functools
    import types
    for _ in range(8):
        if isinstance(handler, types.FunctionType):
            _native.handler(handler)
            return
        if isinstance(handler, functools.partial):
            handler = handler.func
        elif isinstance(handler, types.MethodType):
            handler = handler.__func__
        else:
            handler = getattr(type(handler), "__call__", None)


def _handler_ran(marker):
    """What a handler has the running loop call soon is the signal's doing as well; the
    steps of tasks that it makes are theirs."""
    import _asyncio
    ready = getattr(_asyncio._get_running_loop(), "_ready", ())
    # Appended last; handlers may run very often, and queues be long.
    for i in range(1, min(len(ready), 64) + 1):
        handle = ready[-i]
        context = getattr(handle, "_context", None)
        callback = getattr(handle, "_callback", None)
        if callback is None or context is None or context.get(_watched) != marker:
            break
        name = getattr(callback, "__name__", type(callback).__name__)
        if not name.endswith(("__step", "__wakeup", "MethWrapper")):
            handle._callback = _native.wrap(_SIGNALLED, callback)


def _watch_signals():
    """Handlers are the main interpreter's. Gives the builtin that sets them, or None."""
    global _watched
    if _native.interpreter() != 0:
        return None
    import _signal
    if _watched is None:
        import contextvars
        _watched = contextvars.ContextVar("asyncmon_signal", default=None)
        _native.watch(_handler_set, _watched, _handler_ran)
    return _signal.signal


def _look_at_what_is_there(loop):
    """Handlers that are set, and tasks that have a cancel of their own by now."""
    import _signal
    if _watched is not None:
        for number in range(1, _signal.NSIG):
            handler = _signal.getsignal(number)
            if handler is not None and not isinstance(handler, int):
                _handler_set(handler)
    tasks = sys.modules.get("asyncio.tasks")
    if loop is not None and hasattr(tasks, "all_tasks"):
        for task in tasks.all_tasks(loop):
            _native.follow(task)


def start(history=None, memory=None, preserved=None):
    """Starts the agent in this process (once; again does nothing). `history` is how many
    ended tasks to remember, `preserved` the same for preserved coroutines, `memory` the
    bytes it may use at most. RuntimeError says why it cannot."""
    global _started
    for name, value in (("history", history), ("memory", memory), ("preserved", preserved)):
        if value is not None and not 0 <= operator.index(value) < (1 << 31 if name != "memory" else 1 << 63):
            raise ValueError("%s cannot be %d" % (name, value))
    with _change():
        native = _load()
        if _started and native.running() is not None:
            return
        import _asyncio
        # Up to 3.11 all interpreters share one _asyncio, which has its hooks by now; 3.8's
        # does not bear that a loop is made the running one in another of them.
        if sys.version_info >= (3, 12) or native.running() is None:
            _hook(native, _asyncio, history, memory, preserved)
        _started = True
        if not _replace_functions() and _Later not in sys.meta_path:
            sys.meta_path.insert(0, _Later)
        _look_at_what_is_there(_asyncio._get_running_loop())
        while _waiting:
            native.preserve(_waiting.pop())


def _hook(native, _asyncio, history, memory, preserved):
    why = native.configure(sys.hexversion, hasattr(sys, "gettotalrefcount"))
    if why:
        raise RuntimeError(why)
    step, wakeup = _probe(native, _asyncio)
    Task = _asyncio.Task

    async def sample():
        pass

    coro = sample()
    coro.close()
    why = native.start(
        memory or 0, history or 0, preserved or 0, Task, _subclasses(Task, []), step, wakeup,
        Task.__dict__["cancel"], Task.__dict__["set_name"], Task.__dict__["__init__"],
        type(coro).__dict__["send"], type(coro).__dict__["throw"],
        *(getattr(_asyncio, name, None) for name in
          ("_register_task", "_enter_task", "_leave_task", "_swap_current_task")),
        _watch_signals(),
        *(_asyncio.Future.__dict__[name] for name in ("set_result", "set_exception", "cancel")))
    if why:
        raise RuntimeError(why)
    if native.interpreter() != 0 and not _started:
        import atexit
        atexit.register(native.forget)


def stop():
    """Switches the agent off; its memory stays as it is and is not added to."""
    with _change():
        why = _native.stop() if _native is not None else None
        if why:
            raise RuntimeError(why)
        _put_back_functions()
        if _Later in sys.meta_path:
            sys.meta_path.remove(_Later)


def running():
    """The agent's counters as a dict, or None when it is off."""
    return _native.running() if _native is not None else None


def preserve(function):
    """Decorator for a coroutine function whose terminations get a history of their own."""
    inner = getattr(function, "__func__", function)
    code = getattr(inner, "__code__", None)
    # CO_COROUTINE and CO_ITERABLE_COROUTINE
    if code is None or not code.co_flags & 0x180:
        raise TypeError("preserve needs a coroutine function, not %r" % (function,))
    # Functions that one decorator made share their code: this one gets its own.
    code = inner.__code__ = code.replace()
    if _native is not None and _native.running() is not None:
        why = _native.preserve(code)
        if why:
            raise RuntimeError(why)
    else:
        _waiting.append(code)
    return function
