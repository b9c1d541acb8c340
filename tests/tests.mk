# demo, check, bench: everything that runs what was built.

PYTEST ?= /usr/bin/python3 -m pytest
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
	@$(MAKE) --no-print-directory lint-layers lint-man
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory unit
	tests/interpreters make $(INTERPRETERS)
	$(PYTEST) -o cache_dir=$(CURDIR)/$(B)/pytest -rs -q tests/e2e $(PYTEST_ARGS)

.PHONY: e2e
e2e: all
	$(PYTEST) -o cache_dir=$(CURDIR)/$(B)/pytest -rs -q tests/e2e $(PYTEST_ARGS)

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
