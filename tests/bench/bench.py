"""`make bench`: asyncmon against the standard library's reader and against a
bare copy of the same memory. One run; ratios, since machines differ."""
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests", "e2e"))

from conftest import ASYNCMON, OWN, Target, pick  # noqa: E402

BULK = os.path.join(REPO, "build", "bench", "bulkcopy")
DUMP = os.path.join(REPO, "build", "stack-dump")
ROUNDS = int(os.environ.get("ASYNCMON_BENCH_ROUNDS", "7"))


def timed(argv):
    """The median wall time of ROUNDS runs in ms."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        p = subprocess.run(argv, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE)
        times.append((time.perf_counter() - began) * 1e3)
        if p.returncode:
            return None, p.stderr.decode("utf-8", "replace").strip()[-200:]
    return statistics.median(times), None


def pause(pid):
    """The median pause in ms, and the number of tasks."""
    got, n = [], None
    for _ in range(ROUNDS):
        p = subprocess.run([ASYNCMON, "ps", "--json", str(pid)],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if p.returncode not in (0, 5):
            return None, None
        answer = json.loads(p.stdout)
        got.append(answer["target"]["paused_us"] / 1e3)
        n = len(answer["tasks"])
    return statistics.median(got), n


def bulk(pid):
    p = subprocess.run([BULK, str(pid), str(ROUNDS)], stdout=subprocess.PIPE)
    if p.returncode:
        return None, None
    size, us = p.stdout.split()
    return int(size), int(us) / 1e3


def pauses(pid):
    """The median pause of stacktrace in ms, without and with --native."""
    got = {(): [], ("--native",): []}
    for _ in range(ROUNDS):
        for options in got:
            p = subprocess.run([ASYNCMON, "stacktrace", "--json", *options,
                                str(pid)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
            if p.returncode not in (0, 5):
                return None, None
            us = json.loads(p.stdout)["target"]["paused_us"]
            got[options].append(us / 1e3)
    return [statistics.median(v) for v in got.values()]


def cold_stacks():
    """What one thread's C frames cost, unwinding and names, and apart from them
    source lines: at the first look, when nothing is known yet, and at later ones
    of a session, of which each unwinds anew. Least of ROUNDS."""
    for name in (OWN, "pyenv-3.12", "pyenv-3.13", "sid-3.14",
                 "sid-3.15"):
        interp = pick(name)
        if interp is None or not os.path.exists(DUMP):
            continue
        t = Target(interp, "native.py", ("syscall",))
        try:
            time.sleep(0.5)
            looks = []
            for _ in range(ROUNDS):
                p = subprocess.run([DUMP, str(t.pid), "-n", "3"],
                                   stderr=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL)
                got = re.findall(
                    r"native: .*walk ([\d.]+) ms, lines ([\d.]+)",
                    p.stderr.decode())
                looks.append([(float(w) - float(l), float(l))
                              for w, l in got])
            first = [min(x) for x in zip(*[r[0] for r in looks if r])]
            later = [min(x) for x in zip(*[y for r in looks for y in r[1:]])]
            if first and later:
                print("cold stack, %s: frames and names %s, source lines %s; "
                      "later looks %s, %s" % (name, num(first[0]),
                                              num(first[1]), num(later[0]),
                                              num(later[1])))
        finally:
            t.stop()


def in_chroot(interp):
    """Makes /proc visible inside, so that its own asyncio ps works."""
    if not interp.root:
        return []
    return ["unshare", "-m", "sh", "-c",
            'mount --bind /proc "$0/proc" && exec "$@"', interp.root]


def num(x, unit="ms"):
    return "-" if x is None else "%.2f %s" % (x, unit)


def ratio(a, b):
    return "-" if not a or not b else "%.2f" % (a / b)


def main():
    interp = pick("sid-3.14", "sid-3.15", "sid-3.13", OWN)
    if interp is None:
        sys.exit("bench: no interpreter")
    print("target: Python %s (%s), %d rounds, medians; %d CPUs, Linux %s\n"
          % (interp.version, interp.name, ROUNDS, os.cpu_count(),
             os.uname().release))
    print("%8s %8s %11s %11s %11s %9s %12s" % (
        "tasks", "memory", "ps --raw", "pause", "bulk copy", "pause/copy",
        "per task"))
    against = None
    for count in (1, 1000, 10000, 100000):
        t = Target(interp, "many.py", (count - 1, 3),
                   prefix=in_chroot(interp), timeout=120)
        try:
            whole, err = timed([ASYNCMON, "ps", "--raw", str(t.pid)])
            stop, n = pause(t.pid)
            size, copy = bulk(t.pid)
            print("%8d %5.0f MB %11s %11s %11s %9s %12s" % (
                count, (size or 0) / 1e6, num(whole), num(stop), num(copy),
                ratio(stop, copy),
                num(whole and whole * 1e3 / count, "us")))
            if err:
                print("         " + err)
            if n not in (None, count):
                print("         %d tasks were shown, not %d" % (n, count))
            if count == 10000 and interp.minor >= (3, 14):
                exe = interp.argv[-1]
                inside = (["nsenter", "-t", str(t.pid), "-m", "-r"]
                          if interp.root else [])
                theirs, err = timed(inside + [exe, "-m", "asyncio", "ps",
                                              str(t.pid)])
                against = (whole, theirs, err)
        finally:
            t.stop()
    if against:
        whole, theirs, err = against
        print("\n10,000 tasks: python -m asyncio ps %s, asyncmon ps --raw %s:"
              " %s times as fast%s" % (num(theirs), num(whole),
                                       ratio(theirs, whole),
                                       " (%s)" % err if err else ""))
    t = Target(interp, "threads.py", (145, 4))
    try:
        whole, err = timed([ASYNCMON, "ps", "--raw", str(t.pid)])
        stop, _ = pause(t.pid)
        threads = len(os.listdir("/proc/%d/task" % t.pid))
        print("%d threads: ps --raw %s, pause %s%s" % (
            threads, num(whole), num(stop), " (%s)" % err if err else ""))
        native, err = timed([ASYNCMON, "stacktrace", "--native", str(t.pid)])
        print("%d threads: stacktrace --native %s, %s of ps%s" % (
            threads, num(native), ratio(native, whole),
            " (%s)" % err if err else ""))
        plain, with_c = pauses(t.pid)
        print("%d threads: pause %s, with --native %s: %s" % (
            threads, num(plain), num(with_c), ratio(with_c, plain)))
    finally:
        t.stop()
    cold_stacks()


main()
