"""A small job service, the one that `make demo` looks at.

Three workers take jobs from a queue; each job fetches, then stores under a
lock.  One job holds the lock and waits for an answer that never comes: find
it.  Prints its PID when everything is on its way."""
import asyncio
import os
import sys


class Backend:
    """A slow upstream; the answer to job 13 is lost."""

    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()

    async def ask(self, job):
        if job == 13:
            return await self.lost
        await asyncio.sleep(0.02)
        return "answer %d" % job


class Service:
    def __init__(self):
        self.queue = asyncio.Queue(20)
        self.ledger = asyncio.Lock()
        self.backend = Backend()
        self.stop = asyncio.Event()

    async def produce(self):
        job = 0
        while True:
            job += 1
            await self.queue.put(job)
            await asyncio.sleep(0.01)

    async def work(self):
        while True:
            job = await self.queue.get()
            await self.handle(job)
            self.queue.task_done()

    async def handle(self, job):
        async with self.ledger:
            await self.store(job)

    async def store(self, job):
        return await self.backend.ask(job)

    async def report(self):
        while True:
            await asyncio.sleep(3600)

    async def mirror(self, reader):
        await reader.readline()

    async def refresh(self, source):
        await asyncio.wait_for(self.fetch(source), 600)

    async def fetch(self, source):
        await asyncio.sleep(300)

    async def refresh_all(self):
        if not hasattr(asyncio, "TaskGroup"):
            await asyncio.gather(*[named(self.refresh(s), "refresh " + s)
                                   for s in ("users", "prices")])
            return
        async with asyncio.TaskGroup() as group:
            for source in ("users", "prices"):
                group.create_task(self.refresh(source), name="refresh "
                                  + source)


def named(coro, name):
    task = asyncio.ensure_future(coro)
    task.set_name(name)
    return task


async def connection(reader, writer):
    await reader.readline()


async def main():
    service = Service()
    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    reader, _ = await asyncio.open_connection(
        *server.sockets[0].getsockname()[:2])
    tasks = [named(service.produce(), "producer"),
             named(service.report(), "hourly report"),
             named(service.mirror(reader), "mirror"),
             named(service.refresh_all(), "refresh")]
    tasks += [named(service.work(), "worker-%d" % i) for i in range(3)]
    asyncio.current_task().set_name("service")
    await asyncio.sleep(1)
    print(os.getpid(), flush=True)
    await service.stop.wait()
    del tasks


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
