"""`make stress`: attaches to an aiohttp server under wrk, as fast as they go, then
signals to asyncmon at random instants over all commands. No request may be lost, no
target hurt, nothing left. STRESS_ATTACHES, STRESS_KILLS, STRESS_SIGNALS: how many for
each server; STRESS_PYTHONS: names of tests/interpreters. Ends with 1 on any loss."""
import collections
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests", "e2e"))

from conftest import ASYNCMON, INTERPS, OWN, proc_status, wait_for  # noqa: E402

ATTACHES, KILLS, SIGNALS = (int(os.environ.get("STRESS_" + k, d)) for k, d in (
    ("ATTACHES", 500), ("KILLS", 100), ("SIGNALS", 50)))
PYTHONS = os.environ.get("STRESS_PYTHONS", "%s sid-3.14" % OWN).split()
CONNECTIONS = 32
COMMANDS = [("ps",), ("tree",), ("where",), ("why",), ("stacktrace", "--native"), ("check",), ("ps", "--all"),
            ("attach", "--no-rc", "-e", "ps"), ("console", "-c", "1 + 1"), ("inject",), ("inject", "--remove"),
            ("ps-terminated",)]
OTHERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGSTOP]


class Server:
    def __init__(self, interp, uvloop):
        self.root = interp.root or ""
        self.path = "/tmp/asyncmon-stress-%d.py" % os.getpid()
        shutil.copy(os.path.join(HERE, "server.py"), self.root + self.path)
        self.proc = subprocess.Popen([*interp.argv, self.path, *["--uvloop"] * uvloop], stdout=subprocess.PIPE)
        self.port = int(self.proc.stdout.readline())
        self.pid = self.proc.pid

    def wrk(self, seconds):
        return subprocess.Popen(["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%ds" % seconds, "--latency",
                                 "http://127.0.0.1:%d/" % self.port], stdout=subprocess.PIPE, text=True)

    def hurt(self):
        """What is wrong with it, or None."""
        def whole():
            s = proc_status(self.pid)
            return s and s["TracerPid"] == "0" and s["State"][0] in "RSD"
        return None if wait_for(whole) else str(proc_status(self.pid) and proc_status(self.pid)["State"])

    def descriptors(self):
        """Those that are no connections."""
        fds = "/proc/%d/fd" % self.pid
        return sorted(x for x in (os.readlink(os.path.join(fds, f)) for f in os.listdir(fds))
                      if not x.startswith("socket:"))

    def stop(self):
        self.proc.kill()
        self.proc.wait()
        os.unlink(self.root + self.path)


def answers(w):
    """(requests, p99 in ms, lost) of a wrk that has ended."""
    out = w.communicate()[0]
    unit = {"us": 1e-3, "ms": 1, "s": 1e3}
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    lost = [int(n) for n in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", out)]
    return (int(re.search(r"(\d+) requests in", out).group(1)), float(p99.group(1)) * unit[p99.group(2)],
            sum(lost))


def look(pid):
    p = subprocess.run([ASYNCMON, "ps", "--json", str(pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return p.returncode, (json.loads(p.stdout)["target"]["paused_us"] if p.returncode in (0, 5) else None)


def attaches(s):
    """As many as asked for under load: exit statuses, pauses, requests, lost ones."""
    rcs, pauses, requests, lost, done = collections.Counter(), [], 0, 0, 0
    while done < ATTACHES:
        w = s.wrk(30)
        while w.poll() is None and done < ATTACHES:
            rc, us = look(s.pid)
            rcs[rc] += 1
            pauses += [us] * (us is not None)
            done += 1
        n, _, gone = answers(w)
        requests, lost = requests + n, lost + gone
    return rcs, pauses, requests, lost


def one_a_second(s, seconds=10):
    """p99 of requests without and with an attach a second, in turns."""
    p99 = {False: [], True: []}
    for turn in range(4):
        w = s.wrk(seconds)
        while w.poll() is None:
            time.sleep(1)
            if turn % 2:
                look(s.pid)
        p99[bool(turn % 2)].append(answers(w)[1])
    return [statistics.mean(v) for v in p99.values()]


def signals(s, rng, number, of):
    """So many commands that meet a signal at some instant of their time."""
    hurt = []
    for _ in range(number):
        command = rng.choice(COMMANDS)
        began = time.monotonic()
        p = subprocess.Popen([ASYNCMON, command[0], *command[1:], str(s.pid)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.random() * 0.1)
        sig = rng.choice(of)
        p.send_signal(sig)
        if sig == signal.SIGSTOP:
            time.sleep(0.05)
            state = s.hurt()
            hurt += ["%s, %s: %s" % (" ".join(command), sig.name, state)] if state else []
            p.send_signal(signal.SIGCONT)
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            hurt.append("%s: still there %.0f s after %s" % (" ".join(command), time.monotonic() - began, sig.name))
            p.kill()
            p.wait()
        state = s.hurt()
        if state:
            return hurt + ["%s, %s: the target is %s" % (" ".join(command), sig.name, state)]
    return hurt


def left(s, before):
    """What is there that was not: files, descriptors, tasks."""
    out = [f for d in ("/dev/shm", "/tmp") for f in os.listdir(s.root + d)
           if "asyncmon" in f and not s.path.endswith(f) and f.startswith("asyncmon-%d" % s.pid)]
    out += ["descriptor of " + x for x in s.descriptors() if x not in before]
    p = subprocess.run([ASYNCMON, "ps", "--json", str(s.pid)], stdout=subprocess.PIPE)
    names = [t["name"] or "" for t in json.loads(p.stdout)["tasks"]] if p.stdout else ["no answer"]
    return out + [n for n in names if n.startswith("asyncmon") or n == "no answer"]


def main():
    rng = random.Random(os.environ.get("STRESS_SEED"))
    failed = False
    for name in PYTHONS:
        for uvloop in (False, True):
            interp = INTERPS[name]
            if interp.skip or not interp.has_aiohttp or (uvloop and not interp.has_uvloop):
                print("%s%s: skipped" % (name, ", uvloop" * uvloop))
                continue
            s = Server(interp, uvloop)
            try:
                before = s.descriptors()
                plain, with_us = one_a_second(s)
                rcs, pauses, requests, lost = attaches(s)
                w = s.wrk(int(5 + 0.5 * (KILLS + SIGNALS)))
                hurt = signals(s, rng, KILLS, [signal.SIGKILL]) + signals(s, rng, SIGNALS, OTHERS)
                w.terminate()
                w.wait()
                subprocess.run([ASYNCMON, "inject", "--remove", str(s.pid)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
                kept = left(s, before)
            finally:
                s.stop()
            pauses.sort()
            print("%s%s: %d attaches %s, pause median %.2f ms, p99 %.2f ms; %d requests, %d lost; p99 of requests "
                  "%.2f ms, with an attach a second %.2f ms (%.2f); %d SIGKILLs, %d other signals, hurt: %s; left: %s"
                  % (name, ", uvloop" * uvloop, sum(rcs.values()), dict(rcs), pauses[len(pauses) // 2] / 1e3,
                     pauses[len(pauses) * 99 // 100] / 1e3, requests, lost, plain, with_us, with_us / plain, KILLS,
                     SIGNALS, hurt or "none", kept or "nothing"), flush=True)
            failed = failed or bool(lost or hurt or kept or set(rcs) - {0, 5})
    sys.exit(failed)


main()
