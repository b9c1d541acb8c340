"""Pools as people write them, each with two connections taken and a task that waits for one;
and things that look like pools and are none. The target tells who has which."""
import asyncio
import collections
import contextlib
import json
import os
import sys

held = {}                        # name of the task that waits → tasks that have what it waits for
kept = []                        # tasks, and objects that the target tells of


class Conn:
    def __init__(self, pool=None):
        self.pool = pool


class OfQueue:
    """What is free lies in a queue; taken by a generator."""

    def __init__(self):
        self.free = asyncio.Queue()
        for _ in range(2):
            self.free.put_nowait(Conn())

    @contextlib.asynccontextmanager
    async def acquire(self):
        conn = await self.free.get()
        try:
            yield conn
        finally:
            self.free.put_nowait(conn)


class OfFutures:
    """Knows what is in use; who waits has a future in a deque."""

    def __init__(self):
        self.max_size = 2
        self.used = set()
        self.waiters = collections.deque()

    async def take(self):
        while len(self.used) >= self.max_size:
            self.waiters.append(asyncio.get_event_loop().create_future())
            await self.waiters[-1]
        conn = Conn()
        self.used.add(conn)
        return conn


class Taking:
    __slots__ = ("pool", "conn")

    def __init__(self, pool):
        self.pool = pool
        self.conn = None

    async def __aenter__(self):
        async with self.pool.changed:
            while not self.pool.items:
                await self.pool.changed.wait()
            self.conn = self.pool.items.pop()
        return self.conn

    async def __aexit__(self, *exc):
        async with self.pool.changed:
            self.pool.items.append(self.conn)
            self.pool.changed.notify()


class OfCondition:
    """A stack and a condition; taken by a class of its own."""

    def __init__(self):
        self.changed = asyncio.Condition()
        self.items = [Conn(), Conn()]

    def acquire(self):
        return Taking(self)


class OfStack:
    """As asyncpg's: a stack of holders, all of which it knows."""

    class Place:
        __slots__ = ("conn",)

    def __init__(self):
        self.places = [self.Place(), self.Place()]
        self.free = asyncio.LifoQueue(2)
        for place in self.places:
            self.free.put_nowait(place)

    async def take(self):
        place = await self.free.get()
        place.conn = Conn()
        return place


class Server:
    """As many clients as it may have, and tasks that wait for messages: no pool."""

    def __init__(self):
        self.max_clients = 2
        self.clients = []
        self.queue = asyncio.Queue(2)
        self.changed = asyncio.Condition()
        self.waiters = collections.deque()

    async def by_queue(self):
        return await self.queue.get()

    async def by_condition(self):
        async with self.changed:
            await self.changed.wait()

    async def by_future(self):
        self.waiters.append(asyncio.get_event_loop().create_future())
        return await self.waiters[-1]


class Client:
    def __init__(self, server):
        self.server = server
        server.clients.append(self)

    async def handle(self, never):
        client = self
        await never.wait()
        return client


class App:
    """Keeps what its tasks take."""

    def __init__(self, pool):
        self.pool = pool
        self.kept = []

    async def fill(self, never):
        self.kept.append(await self.pool.take())
        await never.wait()


async def inside(pool, never):
    async with pool.acquire():
        await never.wait()


async def has(pool, never):
    conn = await pool.take()
    await never.wait()
    return conn


async def asks(pool):
    async with pool.acquire():
        pass


async def takes(pool):
    await pool.take()


def start(coro, name):
    task = asyncio.ensure_future(coro)
    if hasattr(task, "set_name"):
        task.set_name(name)
    kept.append(task)
    return hex(id(task))


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def main():
    never = asyncio.Event()
    for pool in (OfQueue(), OfFutures(), OfCondition(), OfStack()):
        use, ask = (inside, asks) if hasattr(pool, "acquire") else (has, takes)
        who = [start(use(pool, never), "has") for _ in range(2)]
        await settle()
        held[start(ask(pool), "waits")] = {"pool": hex(id(pool)), "tasks": who, "objects": []}
        await settle()
    app = App(OfFutures())
    for _ in range(2):
        start(app.fill(never), "fills")
    await settle()
    held[start(takes(app.pool), "waits")] = {
        "pool": hex(id(app.pool)), "tasks": [], "objects": [hex(id(app))]}
    server = Server()
    for coro in (server.by_queue(), server.by_condition(), server.by_future()):
        held[start(coro, "receives")] = None
    for _ in range(2):
        start(Client(server).handle(never), "client")
    await settle()
    print(json.dumps({"pid": os.getpid(), "held": held}), flush=True)
    await never.wait()


async def nested():
    """Two tasks that each have one of two, and want another."""
    pool, never = OfQueue(), asyncio.Event()

    async def both():
        async with pool.acquire():
            await asyncio.sleep(0)
            async with pool.acquire():
                await never.wait()
    who = [start(both(), "both-%d" % i) for i in range(2)]
    await settle()
    print(json.dumps({"pid": os.getpid(), "pool": hex(id(pool)), "tasks": who}), flush=True)
    await never.wait()


asyncio.run(globals()[sys.argv[1]]() if sys.argv[1:] else main())
