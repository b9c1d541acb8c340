# demo, check, bench: everything that runs what was built.

# The tests wait most of the time: more of them side by side than there are processors.
PYTEST ?= /usr/bin/python3 -m pytest -n 4 --dist loadgroup
# What of the end-to-end tests.
E2E ?= tests/e2e
# Every optional interpreter too: make check INTERPRETERS=
INTERPRETERS ?= --required

.PHONY: setup setup-demo
setup:
	@tests/setup
setup-demo:
	@tests/setup demo

# pkg-config is asked when make starts, so what it needs must be there before:
# hence the second make.
.PHONY: demo
demo: setup-demo
	@$(MAKE) --no-print-directory all
	@tests/demo.sh

.PHONY: check
check: setup
	@$(MAKE) --no-print-directory lint-layers lint-versions lint-size lint-man
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory unit
	tests/interpreters make $(INTERPRETERS)
	tests/other-debian
	$(PYTEST) -o cache_dir=$(CURDIR)/$(B)/pytest -rs -q $(E2E) $(PYTEST_ARGS)

# Setup, build, unit tests and main tests on the other Debian, 13 on 12.
.PHONY: check-other
check-other:
	tests/other-debian

.PHONY: e2e
e2e: all
	$(PYTEST) -o cache_dir=$(CURDIR)/$(B)/pytest -rs -q $(E2E) $(PYTEST_ARGS)

$(B)/bench/bulkcopy: tests/bench/bulkcopy.c
	@mkdir -p $(@D)
	$(CC) -O2 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -o $@ $<

# Runs a command as on a system that refuses some calls.
$(B)/refuse: tests/tools/refuse.c
	@mkdir -p $(@D)
	$(CC) -O1 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -o $@ $<

# Preloaded, makes one allocation of a command fail.
$(B)/failmem.so: tests/tools/failmem.c
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -O1 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -o $@ $<

.PHONY: bench
bench: all $(B)/bench/bulkcopy $(B)/stack-dump
	@/usr/bin/python3 tests/bench/bench.py
	@/usr/bin/python3 tests/bench/load.py

# Attaches to a server under wrk, and signals to asyncmon at random instants. Longer with
# STRESS_ATTACHES=, STRESS_KILLS=, STRESS_SIGNALS=; elsewhere with STRESS_PYTHONS=.
.PHONY: stress
stress: all
	@tests/setup
	@/usr/bin/python3 tests/stress/stress.py
