"""native.py SHAPE: a thread that stands in C, entered from Python in known ways.
Tells {"pid", "python": names of the main thread's Python functions, outermost
first, from `outer` on} and then gets there.

    syscall   read(2), called by a key function of sorted(), in a task
    extension pause(2) by ctypes: an extension module and libffi in between
    gil       wants the GIL that another thread keeps
    uvloop    uvloop's loop, idle
    signal    a C signal handler that runs Python, over pause(2)
    hot       read(2), called by a loop that a JIT, if there is one, has compiled
    deep      600 Python functions that call each other through C
    callback  read(2), in a function that C called by libffi
    badcall   pause(2) as the handler of SIGSEGV, after a call of address 0
    altstack  pause(2) as a signal handler on a stack of its own, over a deep one
    vfork     posix_spawn(3), of which the child does not get to exec
    late      after SIGUSR1 loads a library that was not there, which calls pause(2)
    crash     a call of address 0, which ends it
    greenlet  read(2) in a greenlet; another one is parked, and what started both
"""
import asyncio
import ctypes
import functools
import json
import os
import signal
import sys
import tempfile
import threading
import time

shape = sys.argv[1]
libc = ctypes.CDLL(None)
held = ctypes.PyDLL(None)
r, w = os.pipe()


def tell(*names):
    print(json.dumps({"pid": os.getpid(), "python": names}), flush=True)


class Made:
    def __init__(self):
        self.value = sorted([1, 2], key=self.key)

    def key(self, n):
        os.read(r, 1)
        return n


async def innermost():
    Made()


async def outer():
    await innermost()


def extension():
    libc.pause()


def holder():
    held.pause()


def wants():
    threading.Thread(target=holder, daemon=True).start()
    while True:
        time.sleep(0)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def handler(n):
    os.read(r, 1)


def interrupted():
    libc.signal(signal.SIGUSR1, handler)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    libc.pause()


def hot():
    zero = os.open("/dev/zero", os.O_RDONLY)
    for fd in [zero] * 50000 + [r]:
        os.read(fd, 1)


async def outer_hot():
    hot()


def down(n):
    if n:
        functools.reduce(lambda a, b: down(n - 1), [1, 2])
    else:
        os.read(r, 1)


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def less(a, b):
    os.read(r, 1)
    return 0


def sorts():
    libc.qsort((ctypes.c_int * 2)(2, 1), 2, 4, less)


class Sigaction(ctypes.Structure):
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_char * 128),
                ("flags", ctypes.c_int), ("restorer", ctypes.c_void_p)]


class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int),
                ("size", ctypes.c_size_t)]


def pause_on(number):
    """On a stack of its own."""
    room = ctypes.create_string_buffer(1 << 16)
    stack = Stack(ctypes.addressof(room), 0, len(room))
    action = Sigaction(ctypes.cast(libc.pause, ctypes.c_void_p), b"", 0x08000000)
    assert libc.sigaltstack(ctypes.byref(stack), None) == 0
    assert libc.sigaction(number, ctypes.byref(action), None) == 0
    return room


def bad_call():
    ctypes.CFUNCTYPE(None)(0)()


def bottom(self):
    room = pause_on(signal.SIGUSR1)
    libc.__getattr__("raise")(signal.SIGUSR1)


class Bottom:
    __repr__ = bottom


def nested(n):
    """n C functions that call each other, none of Python between."""
    at = Bottom()
    for _ in range(n):
        at = [at]
    repr(at)


def spawns():
    path = os.path.join(tempfile.mkdtemp(), "fifo")
    os.mkfifo(path)
    tell("spawns", path)
    os.posix_spawn("/bin/true", ["true"], {}, file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, path, os.O_RDONLY, 0)])


def late():
    signal.sigwait([signal.SIGUSR1])
    import _sqlite3
    db = _sqlite3.connect(":memory:")
    db.create_function("wait", 0, libc.pause)
    db.execute("select wait()")


def parked():
    greenlet.getcurrent().parent.switch()


def entered():
    functools.reduce(lambda a, b: os.read(r, 1), [1, 2])


if shape == "syscall":
    tell("outer", "innermost", "__init__", "key")
    asyncio.run(outer())
elif shape == "extension":
    tell("extension")
    extension()
elif shape == "gil":
    tell("wants")
    wants()
elif shape == "signal":
    tell("interrupted", "handler")
    interrupted()
elif shape == "hot":
    tell("outer_hot", "hot")
    asyncio.run(outer_hot())
elif shape == "callback":
    tell("sorts", "less")
    sorts()
elif shape == "greenlet":
    import greenlet
    greenlet.greenlet(parked).switch()
    tell("entered", "<lambda>")
    greenlet.greenlet(entered).switch()
elif shape == "deep":
    sys.setrecursionlimit(5000)
    tell(*["down", "<lambda>"] * 300, "down")
    down(300)
elif shape == "deepest":
    sys.setrecursionlimit(20000)
    tell(*["down", "<lambda>"] * 3000, "down")
    down(3000)
elif shape == "altstack":
    sys.setrecursionlimit(9000)
    tell("nested", "bottom")
    nested(4000)
elif shape == "badcall":
    room = pause_on(signal.SIGSEGV)
    tell("bad_call")
    bad_call()
elif shape == "crash":
    tell("bad_call")
    bad_call()
elif shape == "late":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    tell("late")
    late()
elif shape == "vfork":
    spawns()
elif shape == "uvloop":
    import uvloop
    loop = uvloop.new_event_loop()
    tell("<module>")
    loop.run_forever()
