"""Part of `make bench`: the pause of an aiohttp server under wrk with 32 connections.
ASYNCMON_BENCH_OTHER: another asyncmon to be measured in turns with this one."""
import json
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests", "e2e"))

from conftest import ASYNCMON, INTERPS, OWN  # noqa: E402

SERVER = os.path.join(REPO, "tests", "stress", "server.py")
LOOKS = 5 * int(os.environ.get("ASYNCMON_BENCH_ROUNDS", "7"))


def pauses(interp, uvloop, programs):
    """The pauses in ms of each program's looks, made in turns."""
    path = "/tmp/asyncmon-bench-%d.py" % os.getpid()
    root = interp.root or ""
    shutil.copy(SERVER, root + path)
    server = subprocess.Popen([*interp.argv, path, *["--uvloop"] * uvloop], stdout=subprocess.PIPE)
    wrk = None
    got = [[] for _ in programs]
    try:
        url = "http://127.0.0.1:%d/" % int(server.stdout.readline())
        wrk = subprocess.Popen(["wrk", "-t1", "-c32", "-d600s", url], stdout=subprocess.DEVNULL)
        for _ in range(LOOKS):
            for program, v in zip(programs, got):
                p = subprocess.run([program, "ps", "--json", str(server.pid)], stdout=subprocess.PIPE)
                v.append(json.loads(p.stdout)["target"]["paused_us"] / 1e3)
    finally:
        for p in (wrk, server):
            if p:
                p.kill()
                p.wait()
        os.unlink(root + path)
    return got


def main():
    other = os.environ.get("ASYNCMON_BENCH_OTHER")
    programs = [ASYNCMON] + [other] * bool(other)
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing")
    for name in dict.fromkeys([OWN, "sid-3.14"]):
        for uvloop in (False, True):
            interp = INTERPS[name]
            if interp.skip or not interp.has_aiohttp or (uvloop and not interp.has_uvloop):
                continue
            print("aiohttp under wrk, %s%s: pause %s" % (name, ", uvloop" * uvloop, " and ".join(
                "%.2f ms (least %.2f)" % (statistics.median(v), min(v)) for v in pauses(interp, uvloop, programs))))


main()
