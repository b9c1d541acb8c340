"""make_core.py DIR: a kernel's or gdb's core of tests/targets/shapes.py in DIR/core."""
import os
import shutil
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(here), "e2e"))

from conftest import OWN, pick  # noqa: E402
from cores import Dumper, pattern  # noqa: E402

d = Dumper(pick(OWN, "pyenv-3.12", "pyenv-3.13"), "shapes.py")
try:
    core = d.gdb_core()[0] if pattern().startswith("|") else d.kernel_core()
    shutil.move(core, os.path.join(sys.argv[1], "core"))
finally:
    d.close()
