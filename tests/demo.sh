#!/bin/bash
# `make demo`: starts a small service and looks at it with asyncmon.
set -eu
cd "$(dirname "$0")/.."

python=
for p in python3.15 python3.14 python3.13 python3.12 python3.11 python3; do
	for dir in /usr/local/bin /usr/bin; do
		if [ -z "$python" ] && [ -x "$dir/$p" ]; then
			python=$dir/$p
		fi
	done
done
[ -n "$python" ] || { echo "demo: no Python 3 here" >&2; exit 1; }

out=$(mktemp)
"$python" tests/targets/service.py >"$out" &
service=$!
trap 'kill $service 2>/dev/null || :; wait $service 2>/dev/null || :; rm -f "$out"' EXIT
for _ in $(seq 100); do
	[ -s "$out" ] && break
	sleep 0.1
done
pid=$(cat "$out")
[ -n "$pid" ] || { echo "demo: the service did not start" >&2; exit 1; }

caption() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || caption() { printf '\n%s\n' "$*"; }
show() {
	caption "$1"
	shift
	echo "\$ asyncmon $*"
	build/asyncmon "$@" || echo "(exit status $?)"
}

caption "A job service runs as process $pid ($("$python" -V)). It takes no" \
	"more jobs, and nothing was built into it to say why."
show "Every task, and where each is suspended:" ps "$pid"
show "Who awaits whom:" tree "$pid"

show "Why it hangs: what every task waits for in the end:" why "$pid"

# The one of the three workers that got the job which is never answered: its
# stack goes further down than waiting for the queue or the lock.
stuck=$(build/asyncmon ps --json "$pid" | "$python" -c '
import json, sys
tasks = json.load(sys.stdin)["tasks"]
for t in tasks:
    if any(f["function"].split(".")[-1] == "ask" for f in t["stack"]):
        print(t["name"])' | head -1) || true
show "The worker that holds everyone up, with its source lines:" \
	where "$pid" "${stuck:-worker-0}"
caption "That answer never comes: it holds the ledger's lock, the others wait" \
	"for it. The service was stopped for a moment only and never noticed."
