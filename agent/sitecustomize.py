"""Puts asyncmon's agent into the Python that `asyncmon run` starts.

Its folder was put first in PYTHONPATH, so that site imports this file. It takes the
folder out again, of sys.path and of the environment that children get (unless
ASYNCMON_RUN=children asks to keep it), starts the agent when asyncio's C module is
loaded, and gives way to the sitecustomize that would have been imported without it.
Runs in any Python, 2.7 too, where it does no more than give way.
"""
import os
import sys


def _step_aside(here):
    sys.path[:] = [p for p in sys.path if p != here]
    sys.path_importer_cache.pop(here, None)
    if os.environ.get("ASYNCMON_RUN") == "children":
        return
    os.environ.pop("ASYNCMON_RUN", None)
    rest = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep)
            if os.path.abspath(p or ".") != here or not p]
    if rest and rest != [""]:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)


class _Finder(object):
    """Makes asyncmon_agent importable; stands last."""

    def __init__(self, folder):
        self.folder = folder

    def find_spec(self, name, path=None, target=None):
        if name != "asyncmon_agent":
            return None
        from importlib.util import spec_from_file_location
        return spec_from_file_location(name, os.path.join(self.folder, name + ".py"))


def _start(finder):
    try:
        if "asyncmon_agent" not in sys.modules:
            # Not by an import: a program may have any finders.
            from importlib.util import module_from_spec
            spec = finder.find_spec("asyncmon_agent")
            module = sys.modules["asyncmon_agent"] = module_from_spec(spec)
            spec.loader.exec_module(module)
        sys.modules["asyncmon_agent"].start()
    except Exception as e:
        sys.stderr.write("asyncmon: the agent did not start: %s\n" % (e,))


def _start_with_asyncio(finder):
    """Every import comes by importlib's _load_unlocked, whoever found the module: finders
    of the program may stand before any of ours (pytest's does), or replace them all."""
    if "_asyncio" in sys.modules:
        return _start(finder)
    bootstrap = sys.modules["_frozen_importlib"]
    load = bootstrap._load_unlocked

    def _load_unlocked(spec):
        module = load(spec)
        if spec.name == "_asyncio":
            if bootstrap._load_unlocked is _load_unlocked:
                bootstrap._load_unlocked = load
            _start(finder)
        return module
    # Python leaves importlib's frames out of tracebacks, by the name of their file.
    _load_unlocked.__code__ = _load_unlocked.__code__.replace(co_filename=load.__code__.co_filename)
    bootstrap._load_unlocked = _load_unlocked


_here = os.path.dirname(os.path.abspath(__file__))
_step_aside(_here)
if sys.version_info >= (3, 8) and sys.implementation.name == "cpython":
    _finder = _Finder(os.path.dirname(_here))
    sys.meta_path.append(_finder)
    _start_with_asyncio(_finder)

# The import system gives whoever imported this what sys.modules has in the end. Where
# there is no other sitecustomize, the ImportError is what site expects.
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: E402,F401
