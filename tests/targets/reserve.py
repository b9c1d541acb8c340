"""reserve.py KIND: tasks in a process that reserves address space by the terabyte, as
CUDA, sanitizers, V8 and LMDB do. KIND: private, shared, many, beside."""
import asyncio
import ctypes
import json
import os
import sys
import tempfile

TB = 1 << 40
READ, WRITE = 1, 2
SHARED, PRIVATE, ANONYMOUS, NORESERVE, FIXED_NOREPLACE = 0x1, 0x2, 0x20, 0x4000, 0x100000
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                      ctypes.c_int, ctypes.c_long]


def reserve(size, prot, at=None, flags=PRIVATE | ANONYMOUS | NORESERVE, fd=-1):
    got = libc.mmap(at, size, prot, flags, fd, 0)
    assert got != ctypes.c_void_p(-1).value, "mmap"
    return got


def beside(size, prot):
    """Directly below what was mapped last, and with a neighbour below itself."""
    last = reserve(1 << 20, READ | WRITE, flags=PRIVATE | ANONYMOUS)
    at = reserve(size, prot, last - size, PRIVATE | ANONYMOUS | NORESERVE | FIXED_NOREPLACE)
    reserve(1 << 20, READ | WRITE, at - (1 << 20), PRIVATE | ANONYMOUS | FIXED_NOREPLACE)


def reserve_kind(kind):
    if kind == "shared":
        with tempfile.TemporaryFile() as f:
            f.truncate(TB)
            reserve(TB, READ, flags=SHARED, fd=f.fileno())
    elif kind == "many":
        for _ in range(20):
            reserve(TB, READ | WRITE)
    elif kind == "beside":
        beside(TB, READ | WRITE)
    else:
        reserve(4 * TB, READ | WRITE)


async def wait():
    await asyncio.Event().wait()


async def main():
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(wait()) for _ in range(1000)]
    await asyncio.sleep(0)
    reserve_kind(sys.argv[1])
    # The heap grows where there is room now: next to it.
    tasks += [loop.create_task(wait()) for _ in range(2000)]
    await asyncio.sleep(0)
    print(json.dumps({"pid": os.getpid(), "count": len(asyncio.all_tasks())}), flush=True)
    await wait()


asyncio.run(main())
