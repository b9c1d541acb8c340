"""Loops that never rest, each in its own way, and a busy one that does rest."""
import asyncio
import json
import os
import socket
import sys

kept = []


def on_readable():
    """Is called again and again, and reads nothing."""


def on_writable():
    """Is called again and again, and has nothing to write."""


def reader(end):
    a, b = socket.socketpair()
    a.setblocking(False)
    kept.extend([a, b])
    if end:
        b.close()
    else:
        b.send(b"never read")
    asyncio.get_running_loop().add_reader(a.fileno(), on_readable)
    return {"fd": a.fileno(), "callback": "on_readable"}


def writer():
    a, b = socket.socketpair()
    a.setblocking(False)
    kept.extend([a, b])
    asyncio.get_running_loop().add_writer(a.fileno(), on_writable)
    return {"fd": a.fileno(), "callback": "on_writable"}


def again():
    asyncio.get_running_loop().call_soon(again)


def callback():
    again()
    return {"callback": "again"}


async def asks():
    while not kept[0]:
        await asyncio.sleep(0)


def task():
    kept.append(False)
    kept.append(asyncio.ensure_future(asks()))
    return {"task": hex(id(kept[1]))}


async def sends(a, n):
    """As much traffic as there can be, all of which is read."""
    loop = asyncio.get_running_loop()
    while True:
        await loop.sock_sendall(a, b"x" * n)


async def receives(b):
    loop = asyncio.get_running_loop()
    while True:
        await loop.sock_recv(b, 65536)


def traffic():
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    kept.extend([a, b, asyncio.ensure_future(sends(a, 100000)), asyncio.ensure_future(receives(b))])
    return {}


KINDS = {"end": lambda: reader(True), "unread": lambda: reader(False), "writer": writer,
         "callback": callback, "task": task, "traffic": traffic, "idle": dict}


async def main():
    truth = dict(KINDS[sys.argv[1]](), pid=os.getpid())
    await asyncio.sleep(0.05)
    print(json.dumps(truth), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
