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
    """Makes asyncmon_agent importable, and starts it once _asyncio is there."""

    def __init__(self, folder):
        self.folder = folder

    def find_spec(self, name, path=None, target=None):
        if name == "asyncmon_agent":
            from importlib.util import spec_from_file_location
            return spec_from_file_location(name, os.path.join(self.folder, name + ".py"))
        if name != "_asyncio" or sys.meta_path[0] is not self:
            return None
        sys.meta_path.remove(self)
        sys.meta_path.append(self)
        for finder in sys.meta_path[:-1]:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(object):
    def __init__(self, real):
        self.real = real

    def create_module(self, spec):
        return self.real.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.real
        self.real.exec_module(module)
        try:
            import asyncmon_agent
            asyncmon_agent.start()
        except Exception as e:
            sys.stderr.write("asyncmon: the agent did not start: %s\n" % (e,))


_here = os.path.dirname(os.path.abspath(__file__))
_step_aside(_here)
if sys.version_info >= (3, 8) and sys.implementation.name == "cpython":
    sys.meta_path.insert(0, _Finder(os.path.dirname(_here)))

# The import system gives whoever imported this what sys.modules has in the end. Where
# there is no other sitecustomize, the ImportError is what site expects.
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: E402,F401
