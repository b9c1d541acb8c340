# lint: the compilers' and analysers' view. asan: every test under sanitizers.

.PHONY: lint lint-layers lint-versions lint-size lint-clang lint-cppcheck lint-tidy lint-man
lint:
	@tests/setup lint
	@$(MAKE) --no-print-directory lint-layers lint-versions lint-size lint-man lint-clang lint-cppcheck lint-tidy

# Includes point down the layers only.
lint-layers:
	@tests/lint-layers $(LAYERS)

# What differs between versions of CPython is in the layout, not in branches.
lint-versions:
	@tests/lint-versions $(LAYERS)

# Files and functions of a size to read.
lint-size:
	@tests/lint-size $(LAYERS) agent

lint-clang:
	@$(MAKE) --no-print-directory B=build/clang CC=clang CI=1 all

CPPCHECK_OFF := missingIncludeSystem unusedFunction constParameter constVariable \
	variableScope unmatchedSuppression checkersReport returnDanglingLifetime \
	varFuncNullUB:agent/* \
	memleak:attach/image.c memleak:cmd/session.c
lint-cppcheck:
	@cppcheck -q -j2 --std=c11 --enable=warning,performance,portability --inline-suppr \
		$(CPPCHECK_OFF:%=--suppress=%) --error-exitcode=1 -I. -D_GNU_SOURCE $(LAYERS) agent

TIDY_CHECKS := clang-analyzer-*,bugprone-*,-bugprone-easily-swappable-parameters,$\
	-bugprone-narrowing-conversions,-bugprone-reserved-identifier,$\
	-bugprone-assignment-in-if-condition,-bugprone-macro-parentheses,$\
	-bugprone-implicit-widening-of-multiplication-result,-bugprone-branch-clone,$\
	-bugprone-sizeof-expression,-clang-analyzer-valist.Uninitialized,$\
	-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
TIDY_SRC = $(SRC) $(wildcard agent/*.c)
lint-tidy:
	@clang-tidy -quiet -warnings-as-errors='*' -checks='-*,$(TIDY_CHECKS)' $(TIDY_SRC) -- \
		$(CSTD) $(CPPFLAGS)

lint-man:
	@mandoc -Tlint -Wwarning $(wildcard man/*.[0-9])

ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
.PHONY: asan
asan: setup
	@$(MAKE) --no-print-directory B=build/asan SAN="$(ASAN)" CFLAGS="-O1 -g" all unit
	tests/interpreters make $(INTERPRETERS)
	ASYNCMON=$(CURDIR)/build/asan/asyncmon ASAN_OPTIONS=detect_leaks=1 \
		$(PYTEST) -o cache_dir=$(CURDIR)/build/asan/pytest -rs -q tests/e2e $(PYTEST_ARGS)
