"""The agent takes next to none of the stack where the functions that it stands in for nest."""
import os
import subprocess

import pytest

from conftest import ASYNCMON, TARGETS, INTERPS, some, usable

# As deep as these are, a thread of 1 MiB is nearly filled without the agent.
DEEP = {"chain": 2000, "cancel": 700, "eager": 250}


@pytest.mark.parametrize("kind", sorted(DEEP))
@pytest.mark.parametrize("name", some("pyenv-3.9", "pyenv-3.11", "pyenv-3.12", "pyenv-3.13"))
def test_depth(name, kind):
    interp = usable(INTERPS[name])
    if kind == "eager" and interp.minor < (3, 12):
        pytest.skip("no eager tasks before 3.12")
    argv = interp.argv + [os.path.join(TARGETS, "nested.py"), kind, str(DEEP[kind])]
    alone = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if alone.stdout != b"survived\n":
        pytest.skip("%s itself does not survive that" % name)
    run = subprocess.run([ASYNCMON, "run", "--"] + argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.returncode == 0 and run.stdout == b"survived\n", (run.returncode, run.stderr[-500:])
