"""Every way to wait that asyncmon names, one task each, with what it should say.

truth["waits"]: id -> what must be seen of `waiting_on`: kind, and any of on (ids),
fd, peer, detail (a piece of it), deadline (seconds from now, within two),
none (keys that must be null).  Some need a library: left out where there is none.
"""
import asyncio
import concurrent.futures
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from asyncio.staggered import staggered_race

from truth import FOREVER, Truth, run

truth = Truth()
keep = []
expected = {}
SOON = 5000.0


async def forever():
    await asyncio.get_running_loop().create_future()


async def napping():
    await asyncio.sleep(FOREVER)


async def just(awaitable):
    return await awaitable


def start(name, coro, **wait):
    task = asyncio.ensure_future(coro)
    if hasattr(task, "set_name"):
        task.set_name(name)
    keep.append(task)
    truth.add(task, tag=name)
    wait["on"] = ([hex(id(t)) for t in wait["on"]] if "on" in wait else None)
    expected[hex(id(task))] = {k: v for k, v in wait.items() if v is not None}
    return task


def address(sock):
    peer = sock.getpeername()
    return "%s:%d" % peer[:2] if isinstance(peer, tuple) else peer or None


# timers and timeouts

async def timed_out_block(timeout):
    async with timeout:
        await forever()


async def with_wait_for(fut):
    await asyncio.wait_for(fut, SOON)


async def timers(loop):
    start("sleep", asyncio.sleep(SOON), kind="sleep", deadline=SOON)
    start("wait_for-future", with_wait_for(loop.create_future()),
          kind="future", deadline=SOON)
    inner = start("wait_for-inner", napping(), kind="sleep")
    start("wait_for-task", with_wait_for(inner), kind="task", on=[inner],
          deadline=SOON)
    inner = start("wait_for-shielded", napping(), kind="sleep")
    start("wait_for-shield", with_wait_for(asyncio.shield(inner)),
          kind="shield", on=[inner], deadline=SOON)
    kids = [start("wait_for-kid-%d" % i, napping(), kind="sleep")
            for i in range(2)]
    start("wait_for-gather", with_wait_for(asyncio.gather(*kids)),
          kind="gather", on=kids, deadline=SOON)
    kids = [start("wait-kid-%d" % i, napping(), kind="sleep")
            for i in range(3)]
    start("wait-timeout", just(asyncio.wait(kids, timeout=SOON)),
          kind="wait", on=kids, deadline=SOON, detail="3 of 3 left")
    if hasattr(asyncio, "timeout"):
        start("timeout", timed_out_block(asyncio.timeout(SOON)),
              kind="future", deadline=SOON)

        async def nested():
            async with asyncio.timeout(SOON / 2):
                await asyncio.sleep(SOON)
        start("nested-timeout", nested(), kind="sleep", deadline=SOON / 2)
    try:
        import async_timeout
        start("async_timeout", timed_out_block(async_timeout.timeout(SOON)),
              kind="future", deadline=SOON)
    except ImportError:
        pass


# of each other

async def completing(tasks, **kw):
    for each in asyncio.as_completed(tasks, **kw):
        await each


async def others(loop):
    kids = [start("as_completed-kid-%d" % i, napping(), kind="sleep")
            for i in range(3)]
    start("as_completed", completing(kids), kind="wait", on=kids,
          detail="the next of 3")
    kids = [start("as_completed-timed-kid", napping(), kind="sleep")]
    start("as_completed-timed", completing(kids, timeout=SOON), kind="wait",
          on=kids, deadline=SOON)
    start("forever", forever(), kind="future")

    async def stubborn():
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            await asyncio.sleep(FOREVER)
    inner = start("stubborn", stubborn(), kind="sleep")

    async def expiring():
        await asyncio.wait_for(inner, 0.05)
    start("wait_for-expired", expiring(), kind="task", on=[inner])
    await asyncio.sleep(0.1)


# locks

async def locked(lock):
    async with lock:
        pass


async def locks(loop):
    lock, sem = asyncio.Lock(), asyncio.Semaphore(1)
    bounded, cond = asyncio.BoundedSemaphore(1), asyncio.Condition()
    event = asyncio.Event()
    for each in (lock, sem, bounded):
        await each.acquire()
    keep.extend((lock, sem, bounded, cond, event))
    start("lock", locked(lock), kind="lock", detail="Lock, 1 other waits too")
    start("lock-too", locked(lock), kind="lock")
    start("semaphore", locked(sem), kind="semaphore", detail="Semaphore")
    start("bounded", locked(bounded), kind="semaphore",
          detail="BoundedSemaphore")
    start("event", just(event.wait()), kind="event", detail="Event")

    async def condition(c):
        async with c:
            await c.wait()

    async def condition_for(c):
        async with c:
            await c.wait_for(lambda: False)
    start("condition", condition(cond), kind="condition", detail="Condition")
    start("condition-wait_for", condition_for(cond), kind="condition")
    held = asyncio.Condition()
    keep.append(held)
    await held.acquire()
    start("condition-lock", condition(held), kind="lock")
    if hasattr(asyncio, "Barrier"):
        barrier = asyncio.Barrier(3)
        keep.append(barrier)
        for i in range(2):
            start("barrier-%d" % i, just(barrier.wait()), kind="barrier",
                  detail="Barrier (2 of 3 there)")


async def queues(loop):
    class OwnQueue(asyncio.Queue):
        pass
    for name, cls in (("queue", asyncio.Queue), ("lifo", asyncio.LifoQueue),
                      ("priority", asyncio.PriorityQueue),
                      ("own", OwnQueue)):
        full, empty, unbound = cls(2), cls(100), cls()
        full.put_nowait(1)
        full.put_nowait(2)
        keep.extend((full, empty, unbound))
        word = cls.__qualname__
        start(name + "-get", just(empty.get()), kind="queue-get",
              detail="%s (0/100)" % word)
        start(name + "-unbound", just(unbound.get()), kind="queue-get",
              detail="%s (0)" % word)
        start(name + "-put", just(full.put(3)), kind="queue-put",
              detail="%s (2/2)" % word)
        start(name + "-join", just(full.join()), kind="queue-join",
              detail="%s (2 unfinished)" % word)
        start(name + "-get-timed", with_wait_for(unbound.get()),
              deadline=SOON, kind=None)


# groups

async def groups(loop):
    if not hasattr(asyncio, "TaskGroup"):
        return
    kids = []

    async def group():
        async with asyncio.TaskGroup() as tg:
            for i in range(3):
                kids.append(tg.create_task(napping()))
    task = start("taskgroup", group(), kind="taskgroup",
                 detail="TaskGroup, 3 left")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    expected[hex(id(task))]["on"] = [hex(id(k)) for k in kids]


# streams and sockets

async def streams(loop):
    async def held(reader, writer):
        keep.extend((reader, writer))
        await forever()
    server = await asyncio.start_server(held, "127.0.0.1", 0)
    keep.append(server)
    host, port = server.sockets[0].getsockname()[:2]

    def end():
        sock = socket.create_connection((host, port))
        sock.setblocking(False)
        keep.append(sock)
        return sock
    sock = end()
    reader, writer = await asyncio.open_connection(sock=sock)
    keep.extend((reader, writer))
    start("stream-read", just(reader.read(1)), kind="stream-read",
          fd=sock.fileno(), peer="%s:%d" % (host, port))
    sock = end()
    reader, writer = await asyncio.open_connection(sock=sock)
    keep.extend((reader, writer))
    start("stream-readline", just(reader.readline()), kind="stream-read",
          fd=sock.fileno(), peer="%s:%d" % (host, port))

    async def draining(w):
        w.write(b"x" * (1 << 25))
        await w.drain()
    sock = end()
    reader, writer = await asyncio.open_connection(sock=sock)
    keep.extend((reader, writer))
    start("stream-write", draining(writer), kind="stream-write",
          fd=sock.fileno(), peer="%s:%d" % (host, port))
    for name, func in (("recv", lambda s: loop.sock_recv(s, 1)),
                       ("recv_into",
                        lambda s: loop.sock_recv_into(s, bytearray(1))),
                       ("sendall",
                        lambda s: loop.sock_sendall(s, b"x" * (1 << 25)))):
        sock = end()
        start("sock_" + name, just(func(sock)), kind="socket",
              fd=sock.fileno(), peer="%s:%d" % (host, port))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.setblocking(False)
    keep.append(listening)
    start("sock_accept", just(loop.sock_accept(listening)), kind="socket",
          fd=listening.fileno(),
          detail="listens on 127.0.0.1:%d" % listening.getsockname()[1])
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    keep.extend((reader, writer, theirs))
    start("unix-read", just(reader.readexactly(5)), kind="stream-read",
          fd=ours.fileno(), none=["peer"])
    other = await asyncio.start_server(held, "127.0.0.1", 0)
    keep.append(other)
    start("serve_forever", just(other.serve_forever()), kind="socket",
          fd=other.sockets[0].fileno(),
          detail="listens on 127.0.0.1:%d"
          % other.sockets[0].getsockname()[1])
    r, w = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, "rb"))
    keep.extend((reader, transport))
    start("pipe-read", just(reader.read(1)), kind="stream-read", fd=r,
          none=["peer"])


# endings

async def endings(loop):
    async def held(reader, writer):
        keep.extend((reader, writer))
        await forever()
    server = await asyncio.start_server(held, "127.0.0.1", 0)
    sock = socket.create_connection(server.sockets[0].getsockname()[:2])
    keep.extend((server, sock))
    while not server._active_count if hasattr(server, "_active_count") \
            else not server._clients:
        await asyncio.sleep(0.01)
    if sys.version_info >= (3, 12, 1):
        server.close()
        start("server-close", just(server.wait_closed()), kind="server-close",
              peer="%s:%d" % sock.getsockname(),
              detail="1 connection is still open: ")
    else:
        start("server-close", just(server.wait_closed()), kind="server-close",
              detail="the server has not been closed")
    mute = socket.socket()
    mute.bind(("127.0.0.1", 0))
    mute.listen()
    keep.append(mute)
    context = ssl.create_default_context()
    start("tls", just(asyncio.open_connection(
        *mute.getsockname(), ssl=context, server_hostname="example.org")),
        kind="tls", peer="%s:%d" % mute.getsockname(),
        detail="handshake with example.org, ")
    start("race", just(staggered_race([forever, forever], None)), kind="wait",
          detail="the first of 2 that succeeds, 2 left")
    # A pipe that another process holds open: it ends with this one.
    r, w = os.pipe()
    holder = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=w)
    os.close(w)
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, "rb"))
    keep.extend((reader, transport, holder))
    start("held-pipe", just(reader.read(1)), kind="stream-read", fd=r,
          detail="held open by cat (%d)" % holder.pid)


# outside the loop

def blocking(event):
    event.wait()


async def outside(loop):
    stop = threading.Event()
    keep.append(stop)
    start("executor-default", just(loop.run_in_executor(None, blocking, stop)),
          kind="executor", detail="blocking() in ThreadPoolExecutor")
    if hasattr(asyncio, "to_thread"):
        start("to_thread", just(asyncio.to_thread(blocking, stop)),
              kind="executor", detail="blocking() in ThreadPoolExecutor")
    pool = concurrent.futures.ThreadPoolExecutor(2, "narrow")
    keep.append(pool)
    for i in range(2):
        start("pool-busy-%d" % i,
              just(loop.run_in_executor(pool, blocking, stop)),
              kind="executor", detail="blocking() in ThreadPoolExecutor")
    for i in range(5):
        start("pool-queued-%d" % i,
              just(loop.run_in_executor(pool, blocking, stop)),
              kind="executor", detail="blocking() needs a worker of "
              "ThreadPoolExecutor: 2 of 2 busy, 5 queued")
    processes = concurrent.futures.ProcessPoolExecutor(1)
    keep.append(processes)
    for i in range(4):
        start("process-pool-%d" % i,
              just(loop.run_in_executor(processes, time.sleep, 1000)),
              kind="executor", detail="sleep() ")
    foreign = concurrent.futures.Future()
    keep.append(foreign)
    start("wrap_future", just(asyncio.wrap_future(foreign)), kind="future",
          detail="of another thread")
    start("subprocess", just((await asyncio.create_subprocess_exec(
        "cat", stdin=asyncio.subprocess.PIPE)).wait()), kind="subprocess")
    proc = await asyncio.create_subprocess_exec(
        "cat", stdin=asyncio.subprocess.PIPE)
    keep.append(proc)
    start("subprocess-pid", just(proc.wait()), kind="subprocess",
          detail="pid %d" % proc.pid)
    proc = await asyncio.create_subprocess_exec(
        "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    keep.append(proc)
    start("subprocess-stdout", just(proc.stdout.readline()),
          kind="stream-read")


def second_loop(ready, made):
    async def main():
        truth.loop()
        truth.add(asyncio.current_task(), tag="second")
        made.append(asyncio.get_running_loop())
        ready.set()
        await forever()
    asyncio.run(main())


async def two_loops(loop):
    ready, made = threading.Event(), []
    threading.Thread(target=second_loop, args=(ready, made),
                     daemon=True).start()
    ready.wait(10)
    fut = asyncio.run_coroutine_threadsafe(napping(), made[0])
    keep.append(fut)
    task = start("other-loop", just(asyncio.wrap_future(fut)), kind="task",
                 detail="in another loop")
    for _ in range(100):
        there = [t for t in asyncio.all_tasks(made[0])
                 if t.get_coro().__name__ == "napping"]
        if there:
            break
        await asyncio.sleep(0.01)
    expected[hex(id(task))]["on"] = [hex(id(there[0]))]


# libraries

async def libraries(loop):
    try:
        import anyio
    except ImportError:
        return
    lock, sem, event = anyio.Lock(), anyio.Semaphore(1), anyio.Event()
    limiter, cond = anyio.CapacityLimiter(1), anyio.Condition()

    async def holder():
        await lock.acquire()
        await sem.acquire()
        await limiter.acquire()
        await forever()
    start("anyio-holder", holder(), kind="future")
    await asyncio.sleep(0.05)
    start("anyio-lock", locked(lock), kind="lock",
          detail="Lock held by anyio-holder")
    start("anyio-semaphore", locked(sem), kind="semaphore",
          detail="Semaphore")
    start("anyio-event", just(event.wait()), kind="event")
    start("anyio-limiter", locked(limiter), kind="semaphore",
          detail="CapacityLimiter (1 of 1 borrowed)")

    async def condition():
        async with cond:
            await cond.wait()
    start("anyio-condition", condition(), kind="condition")

    async def scope():
        with anyio.move_on_after(SOON):
            await forever()
    start("anyio-scope", scope(), kind="future", deadline=SOON)

    async def group():
        with anyio.move_on_after(SOON):
            async with anyio.create_task_group() as tg:
                for _ in range(2):
                    tg.start_soon(napping)
    start("anyio-group", group(), kind="taskgroup", deadline=SOON,
          detail="TaskGroup, 2 left")
    send, receive = anyio.create_memory_object_stream(1)
    send.send_nowait(1)
    keep.extend((send, receive))
    start("anyio-send", just(send.send(2)), kind="queue-put")
    send, receive = anyio.create_memory_object_stream(1)
    keep.extend((send, receive))
    start("anyio-receive", just(receive.receive()), kind="queue-get")
    listening = socket.create_server(("127.0.0.1", 0))
    keep.append(listening)
    host, port = listening.getsockname()[:2]
    stream = await anyio.connect_tcp(host, port)
    keep.append(stream)
    start("anyio-tcp", just(stream.receive()), kind="stream-read",
          fd=stream.extra(anyio.abc.SocketAttribute.raw_socket).fileno(),
          peer="%s:%d" % (host, port))


async def web(loop):
    try:
        import aiohttp
        from aiohttp import web as aioweb
    except ImportError:
        return
    holding = asyncio.Event()

    async def hang(request):
        task = asyncio.current_task()
        keep.append(task)
        truth.add(task, tag="aiohttp-handler")
        expected[hex(id(task))] = {"kind": "stream-read",
                                   "peer": "%s:%d" % request.transport
                                   .get_extra_info("peername")[:2]}
        holding.set()
        await request.content.read(1)
        return aioweb.Response()
    app = aioweb.Application()
    app.router.add_post("/", hang)
    runner = aioweb.AppRunner(app)
    await runner.setup()
    site = aioweb.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = site._server.sockets[0].getsockname()[:2]
    url = "http://%s:%d/" % (host, port)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1),
        timeout=aiohttp.ClientTimeout(total=SOON))
    keep.extend((runner, site, session))

    async def body():
        yield b""
        await forever()

    async def client():
        await session.post(url, data=body())
    start("aiohttp-client", client(), kind="stream-read",
          peer="%s:%d" % (host, port), deadline=SOON)
    await asyncio.wait_for(holding.wait(), 10)
    start("aiohttp-pool", client(), kind="pool", deadline=SOON,
          detail="a free connection of TCPConnector (1 of 1 in use)")


async def main():
    loop = truth.loop()
    loop.set_exception_handler(lambda *_: None)
    truth.add(asyncio.current_task(), tag="main", kind="future")
    parts = [timers, others, locks, queues, groups, streams, outside,
             two_loops, libraries, web]
    if "--uvloop" not in sys.argv:
        parts.append(endings)
    for part in parts:
        await part(loop)
    truth.tell_when_settled(waits=expected)
    await forever()


if __name__ == "__main__":
    run(main(), sys.argv)
