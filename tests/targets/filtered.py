"""Puts itself under a seccomp filter: `ACTION CALL...` takes an action (kill, trap, errno,
notify, log) for calls by number, `docker ACTION` allows what Docker's default profile allows
and takes the action for the rest. `worker` before those: the filter is only another thread's."""
import asyncio
import ctypes
import json
import os
import struct
import sys
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
ACTIONS = {"kill": 0x80000000, "thread": 0, "trap": 0x30000, "errno": 0x50001,
           "notify": 0x7fc00000, "log": 0x7ffc0000}
ALLOW = 0x7fff0000
LD, JEQ, JGE, JSET, RET, AND = 0x20, 0x15, 0x35, 0x45, 6, 0x54
# What Docker refuses on x86-64: mount, keyctl, bpf, kexec, modules, clocks, and so on.
REFUSED = [135, 139, 153, 155, 156, 159, 163, 164, 165, 166, 167, 168, 169, 170, 172, 173, 174,
           175, 176, 177, 178, 179, 180, 205, 211, 212, 227, 237, 238, 239, 246, 248, 249, 250,
           256, 279, 298, 300, 303, 304, 305, 308, 313, 320, 321, 323, 428, 429, 430, 431, 432,
           433, 442]


def listed(action, numbers):
    program = [(LD, 0, 0, 0)]
    for n in numbers:
        program += [(JEQ, 0, 1, n), (RET, 0, 0, action)]
    return program + [(RET, 0, 0, ALLOW)]


def docker(action):
    program = [(LD, 0, 0, 4), (JEQ, 1, 0, 0xc000003e), (RET, 0, 0, ACTIONS["kill"]),
               (LD, 0, 0, 0), (JGE, 0, 1, 0x40000000), (RET, 0, 0, action)]
    for n in REFUSED:
        program += [(JEQ, 0, 1, n), (RET, 0, 0, action)]
    # clone without namespaces, socket but for AF_VSOCK, clone3 not at all
    program += [(JEQ, 0, 3, 56), (LD, 0, 0, 16), (JSET, 0, 1, 0x7e020000), (RET, 0, 0, action),
                (LD, 0, 0, 0), (JEQ, 0, 3, 41), (LD, 0, 0, 16), (JEQ, 0, 1, 40),
                (RET, 0, 0, action), (LD, 0, 0, 0), (JEQ, 0, 1, 435), (RET, 0, 0, 0x50026),
                (JGE, 0, 1, 470), (RET, 0, 0, action)]
    return program + [(RET, 0, 0, ALLOW)]


def install(program, flags=0):
    text = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *i) for i in program))

    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    LIBC.prctl(38, 1, 0, 0, 0)
    if LIBC.syscall(317, 1, flags, ctypes.byref(Program(len(program), ctypes.addressof(text)))) < 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def limit(words):
    if words[0] == "docker":
        install(docker(ACTIONS[words[1]]))
    else:
        # A filter that asks another process needs someone who could be asked.
        install(listed(ACTIONS[words[0]], map(int, words[1:])), 8 if words[0] == "notify" else 0)


def worker(words, ready):
    limit(words)
    ready.set()
    threading.Event().wait()


async def main(words):
    loop = asyncio.get_running_loop()
    for name in ("first", "second"):
        loop.create_task(asyncio.sleep(10000)).set_name(name)
    await asyncio.sleep(0.01)
    if words[0] == "worker":
        ready = threading.Event()
        threading.Thread(target=worker, args=(words[1:], ready), daemon=True).start()
        ready.wait()
    else:
        limit(words)
    sys.stdout.write(json.dumps({"pid": os.getpid(), "tasks": []}) + "\n")
    sys.stdout.flush()
    await asyncio.sleep(10000)


asyncio.run(main(sys.argv[1:]))
