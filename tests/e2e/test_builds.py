"""Pythons that are built or kept in unusual ways are found all the same: programs
that embed one, that hide its symbols, that lost their sections or their file."""
import json
import os
import shutil
import struct
import subprocess
import sys
import time

import pytest

from conftest import INTERPS, OWN, call, usable, wait_for

SCRIPT = """
import asyncio
async def leaf(): await asyncio.sleep(1000)
async def main():
    print("ready", flush=True)
    await asyncio.gather(leaf(), leaf())
asyncio.run(main())
"""
EMBED = r"""
#include <Python.h>
/* Taking addresses makes the linker copy these objects into a fixed-address program. */
void *kept[] = { Py_None, &PyType_Type, &PyUnicode_Type };
int main(int argc, char **argv)
{
	Py_Initialize();
	return argc > 1 && PyRun_SimpleString(argv[1]) != 0;
}
"""


def probe(interp, what):
    """A value of the interpreter's own sysconfig."""
    return json.loads(subprocess.check_output(interp.argv + [
        "-c", "import json,sys,sysconfig;print(json.dumps(%s))" % what]))


@pytest.fixture
def start(tmp_path):
    started = []

    def run(argv, **kw):
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **kw)
        started.append(p)
        assert p.stdout.readline() == b"ready\n"
        time.sleep(0.05)
        return p.pid
    yield run
    for p in started:
        p.kill()
        p.wait()
        p.stdout.close()


def read(pid, tasks=3):
    a = call("ps", pid, "--json")
    assert a.rc == 0, a.err
    answer = json.loads(a.out)
    assert len(answer["tasks"]) == tasks
    return answer["target"]


def compile_embedded(interp, folder, *flags, static=False):
    if not shutil.which("cc"):
        pytest.skip("no compiler")
    include = probe(interp, "sysconfig.get_path('include')")
    libdir, version, config, libs = probe(
        interp, "[sysconfig.get_config_var('LIBDIR'), sysconfig.get_config_var('LDVERSION'),"
        " sysconfig.get_config_var('LIBPL'), sysconfig.get_config_var('LIBS') + ' ' +"
        " sysconfig.get_config_var('SYSLIBS')]")
    library = ["-L" + libdir, "-Wl,-rpath," + libdir, "-lpython" + version]
    if static:
        archive = os.path.join(config, "libpython%s.a" % version)
        if not os.path.exists(archive):
            pytest.skip("no " + archive)
        library = [archive] + libs.split() + ["-lm", "-ldl", "-lpthread", "-lutil"]
    source = folder / "embed.c"
    source.write_text(EMBED)
    program = str(folder / "embed")
    subprocess.check_call(["cc", "-w", "-I" + include, "-o", program, str(source)]
                          + list(flags) + library)
    return program, probe(interp, "sys.prefix")


@pytest.mark.parametrize("name", ["pyenv-3.8", "pyenv-3.10", "pyenv-3.12", "pyenv-3.13"])
def test_embedded_with_copied_objects(start, tmp_path, name):
    """A program at a fixed address has its own copies of libpython's objects."""
    program, prefix = compile_embedded(usable(INTERPS[name]), tmp_path, "-fno-pie", "-no-pie")
    pid = start([program, SCRIPT], env=dict(os.environ, PYTHONHOME=prefix))
    assert read(pid)["python"].startswith(name.split("-")[1] + ".")


HIDDEN = "import types, time, _weakref; print('ready', flush=True); time.sleep(1000)"


@pytest.mark.parametrize("strip", [False, True], ids=["symtab", "stripped"])
@pytest.mark.parametrize("name", ["pyenv-3.10", "pyenv-3.11", "pyenv-3.12", "pyenv-3.13"])
def test_static_with_hidden_symbols(start, tmp_path, name, strip):
    """Nothing is exported: found by .symtab, or by the section .PyRuntime and the
    names that types have in the target's own modules. Without exports no extension
    module loads, so there is no asyncio, and that is what is said."""
    interp = usable(INTERPS[name])
    program, prefix = compile_embedded(interp, tmp_path, static=True)
    if strip:
        subprocess.check_call(["strip", program])
    pid = start([program, HIDDEN], env=dict(os.environ, PYTHONHOME=prefix))
    a = call("ps", pid, "--json")
    assert a.rc == 4
    assert json.loads(a.out)["error"]["code"] == "no-asyncio", a.out


def copy_of_debian_python(folder):
    interp = usable(INTERPS[OWN])
    program = str(folder / "some-program")
    shutil.copy(os.path.realpath(interp.argv[0]), program)
    return program


def test_file_replaced_by_another(start, tmp_path):
    program = copy_of_debian_python(tmp_path)
    pid = start([program, "-c", SCRIPT])
    os.unlink(program)
    shutil.copy("/bin/sleep", program)
    assert read(pid)["python"] == INTERPS[OWN].version


def test_no_section_headers(start, tmp_path):
    program = copy_of_debian_python(tmp_path)
    with open(program, "r+b") as f:
        f.seek(0x28)                    # e_shoff
        f.write(bytes(8))
        f.seek(0x3c)                    # e_shnum, e_shstrndx
        f.write(bytes(4))
    pid = start([program, "-c", SCRIPT])
    assert read(pid)["python"] == INTERPS[OWN].version


def test_just_started(python):
    """A Python in its first moments is read, or said to be starting; it is never
    said to be of an unknown kind."""
    seen = set()
    for i in range(60):
        p = subprocess.Popen(python.argv + ["-c", "import time; time.sleep(0.05)"],
                             stdin=subprocess.DEVNULL)
        try:
            time.sleep(i / 2000)
            a = call("ps", p.pid, "--json")
            seen.add(json.loads(a.out)["error"]["code"] if a.rc else "read")
        finally:
            p.kill()
            p.wait()
    assert "version" not in seen, seen
