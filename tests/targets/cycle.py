"""Tasks that await each other in a circle: two, three through a gather, and
one that leads into a circle without being in it."""
import asyncio

from truth import Truth, run

truth = Truth()


async def on_other(tasks, name):
    await tasks[name]


async def on_both(tasks, names):
    await asyncio.gather(*[tasks[n] for n in names])


async def main():
    loop = truth.loop()
    truth.add(asyncio.current_task(), kind="future", tag="main")
    tasks = {}
    for name, other in (("a", "b"), ("b", "a"), ("x", "y"), ("y", "z"),
                        ("into", "a")):
        tasks[name] = asyncio.ensure_future(on_other(tasks, other))
    tasks["z"] = asyncio.ensure_future(on_both(tasks, ("x", "a")))
    waits = {"a": "b", "b": "a", "x": "y", "y": "z", "into": "a", "z": "xa"}
    for name, task in tasks.items():
        task.set_name(name)
        truth.add(task, kind="gather" if name == "z" else "task", tag=name,
                  on=[tasks[n] for n in waits[name]],
                  awaited_by=[tasks[n] for n in waits if name in waits[n]])
    truth.tell_when_settled()
    await loop.create_future()


run(main())
