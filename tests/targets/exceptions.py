"""Failed tasks, one for each way in which an exception says what it is.

truth["exceptions"]: tag -> what the target says: {repr, str, notes, cause, context,
suppress, subs, functions (of the traceback)}; repr and str are null where a class of its own
writes them. With "late" the tasks are made when the agent is there, and what is said of
them is the second line.
"""
import asyncio
import decimal
import enum
import json
import os
import sys
import traceback

from truth import FOREVER, Truth, run

truth = Truth()
keep = []


class Said(Exception):
    def __str__(self):
        return "said"


class Shown(Exception):
    def __repr__(self):
        return "<shown>"


class Coded(Exception):
    def __init__(self, code, why):
        super().__init__(code, why)


class Refused(OSError):
    pass


class Text(str):
    pass


class Number(int):
    def __str__(self):
        return "a number"


class Enough(enum.IntEnum):
    ONE = 1


def raising(exc):
    def function():
        raise exc
    return function


def chained():
    try:
        1 / 0
    except ZeroDivisionError as e:
        raise ValueError("outer") from e


def handling():
    try:
        {}["k"]
    except KeyError:
        raise ValueError("outer")


def from_none():
    try:
        {}["k"]
    except KeyError:
        raise ValueError("outer") from None


def circle():
    a, b = ValueError("a"), TypeError("b")
    a.__context__, b.__context__ = b, a
    raise a


def nested():
    inside = ["l", (1,), {"d": [None]}]
    inside.append(inside)
    raise ValueError(inside)


def noted():
    e = ValueError("with notes")
    e.__notes__ = ["first", "second"]
    raise e


CASES = dict(
    plain=raising(ValueError("too much")), bare=raising(ValueError()),
    raised_class=raising(ValueError), two=raising(ValueError("a", 2)),
    said=raising(Said("x", {"k": 1})), shown=raising(Shown("x")),
    coded=raising(Coded(404, "nf")), key=raising(KeyError(("a", 1))),
    key_text=raising(KeyError("it's")), lookup=raising(IndexError(3)),
    attribute=lambda: None.foo, name=lambda: undefined_name,  # noqa: F821
    module=lambda: __import__("no_such_module"),
    missing=lambda: open("/nonexistent/file"),
    refused=raising(Refused(111, "Connect call failed")),
    two_files=raising(OSError(18, "Cross-device", "a", None, "b")),
    os_text=raising(OSError("only text")),
    decode=lambda: b"a\xff".decode("utf8"),
    decode_range=raising(
        UnicodeDecodeError("utf-8", b"abcdef", 1, 4, "why not")),
    encode_range=raising(UnicodeEncodeError("ascii", "abcdef", 1, 4, "no")),
    syntax=lambda: compile("a b", "dir/f", "exec"),
    json=lambda: json.loads("{bad"), zero=lambda: 1 / 0,
    of_exception=raising(ValueError(KeyError("k"))),
    numbers=raising(ValueError(0, -1, 10 ** 30, -(2 ** 62), True, None, 1.5,
                               -0.0, 1e16, 1e-5, 123456.789, float("inf"),
                               5e-324, 1.7976931348623157e308, 0.1, 1e22)),
    texts=raising(ValueError("it's", '"', "'\"", "a\nb\t\\", "\x00\x1b",
                             "caf\xe9 \u4e2d \U0001f600", "\u200b\ud800", "",
                             b"\x00'a\"\xff\n", Text("sub"))),
    containers=raising(ValueError([], (), {}, set(), frozenset(), {3}, (4,),
                                  {"k": (1, 2)}, frozenset([5]), int,
                                  Coded)),
    nested=nested, chained=chained, handling=handling, from_none=from_none,
    circle=circle, noted=noted, long=raising(RuntimeError("a" * 3000)),
    stop=raising(StopAsyncIteration(4)))
try:
    ExceptionGroup
except NameError:
    pass
else:
    CASES["group"] = raising(ExceptionGroup("several", [
        ValueError("v1"), ExceptionGroup("inner", [KeyError("k")])]))


# Only code of their arguments' classes could say what these say.
NAMED = dict(named=ValueError(decimal.Decimal("1.5"), 2), number=ValueError(Number(3)),
             enum=ValueError(Enough.ONE))


async def fail(function):
    function()


def account(e, seen):
    """As the traceback module walks: each exception once."""
    if e is None or id(e) in seen:
        return None
    seen.add(id(e))
    return e


def told(e):
    seen = {id(e)}
    subs = [account(s, seen) for s in getattr(e, "exceptions", ())]
    cause, context = account(e.__cause__, seen), account(e.__context__, seen)
    return {
        "type": type(e).__qualname__,
        "str": None if isinstance(e, Said) else str(e),
        "repr": None if isinstance(e, Shown) else repr(e),
        "notes": getattr(e, "__notes__", []),
        "cause": cause and repr(cause), "context": context and repr(context),
        "suppress": e.__suppress_context__, "subs": [repr(s) for s in subs],
        "lines": [f.lineno for f in traceback.extract_tb(e.__traceback__)]}


async def main():
    if "late" in sys.argv:
        # The first line is for whom the agent is brought along by.
        print(json.dumps({"pid": os.getpid(), "tasks": []}), flush=True)
        while getattr(sys.modules.get("asyncmon_agent"), "running", int)() in (0, None):
            await asyncio.sleep(0.01)
    truth.loop()
    exceptions = {}
    for name, function in CASES.items():
        task = asyncio.ensure_future(fail(function))
        await asyncio.wait([task])
        keep.append(task)
        truth.add(task, tag=name, state="failed")
        exceptions[name] = told(task.exception())
    for name, exc in NAMED.items():
        task = asyncio.ensure_future(fail(raising(exc)))
        await asyncio.wait([task])
        keep.append(task)
        truth.add(task, tag=name, state="failed")
    truth.tell(exceptions=exceptions)
    await asyncio.sleep(FOREVER)


run(main())
