"""Task groups that are not asyncio's: stand-ins of the shape of aiotools' TaskContext,
TaskScope, Supervisor and PersistentTaskGroup.  They keep their children in `_tasks`,
know their task as `_parent_task` or `_host_task`, wait for children in
`_on_completed_fut`, and get a bound `_on_task_done` as each child's callback.

truth["groups"]: what must be seen of each.
"""
import asyncio
import sys

from truth import FOREVER, Truth, run

truth = Truth()
keep = []
told = []


async def napping():
    await asyncio.sleep(FOREVER)


class TaskContext:
    """Only keeps its tasks; nobody waits for them."""

    def __init__(self):
        self._tasks = set()
        self._parent_task = asyncio.current_task()
        self._aborting = False

    def create_task(self, coro):
        task = asyncio.ensure_future(coro)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task):
        self._tasks.discard(task)


class TaskScope(TaskContext):
    """Waits for its children when its block ends."""

    def __init__(self):
        super().__init__()
        self._on_completed_fut = None

    async def __aenter__(self):
        self._host_task = asyncio.current_task()
        return self

    async def __aexit__(self, *exc):
        await self._wait_completion()

    async def _wait_completion(self):
        while self._tasks:
            if self._on_completed_fut is None:
                self._on_completed_fut = \
                    asyncio.get_running_loop().create_future()
            await self._on_completed_fut
            self._on_completed_fut = None

    def abort(self):
        self._aborting = True
        for task in self._tasks:
            task.cancel()


class Supervisor(TaskScope):
    pass


class PersistentTaskGroup(TaskScope):
    """Has a name; wraps each child, and lives as long as the program."""

    def __init__(self, name):
        super().__init__()
        self._name = name
        self._unfinished_tasks = 0

    def create_task(self, coro):
        self._unfinished_tasks += 1
        return super().create_task(self._task_wrapper(coro))

    async def _task_wrapper(self, coro):
        return await coro


def tell(group, kids, kind, **more):
    told.append(dict(id=hex(id(group)), kind=kind,
                     tasks=[hex(id(k)) for k in kids], **more))


def name(task, text):
    if hasattr(task, "set_name"):
        task.set_name(text)
    keep.append(task)
    return truth.add(task, tag=text)


async def inside(cls, count):
    async with cls() as group:
        kids = [name(group.create_task(napping()),
                     "%s-kid-%d" % (cls.__name__, i)) for i in range(count)]
        tell(group, kids, cls.__name__, owner=hex(id(asyncio.current_task())),
             waits=True)


async def main():
    truth.loop()
    truth.add(asyncio.current_task(), tag="main")
    me = hex(id(asyncio.current_task()))
    for cls in (TaskScope, Supervisor):
        name(asyncio.ensure_future(inside(cls, 3)), cls.__name__)
    context = TaskContext()
    tell(context, [name(context.create_task(napping()), "context-kid")],
         "TaskContext", owner=me)
    persistent = PersistentTaskGroup("mailer")
    tell(persistent, [name(persistent.create_task(napping()),
                           "mailer-kid-%d" % i) for i in range(2)],
         "PersistentTaskGroup", owner=me, name="mailer")
    keep.extend((context, persistent))
    await asyncio.sleep(0.1)
    truth.tell_when_settled(groups=told)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    run(main(), sys.argv)
