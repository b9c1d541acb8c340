# asyncmon: one Makefile, not recursive. `make` builds, `make check` tests,
# `make demo` shows it at work, `make lint`, `make asan`, `make bench`, `make install`.

PREFIX  ?= /usr/local
DESTDIR ?=
SHARE   := $(DESTDIR)$(PREFIX)/share
CC      ?= cc
B       ?= build

# libdw: DWARF and ELF (libelf); readline: the session; ncursesw: top;
# libmicrohttpd: the server of `serve`;
# libunwind: native stacks (remote unwinding only). libzstd, liblz4: cores as
# systemd-coredump keeps them. libzstd, zlib: debug information as distributions keep it;
# libdeflate, where it is there, decompresses that three times as fast. json-c: what the
# client of an MCP server sends.
PKGS    := libdw libelf readline ncursesw libunwind-generic libzstd liblz4 zlib libmicrohttpd json-c
DEFLATE := $(shell pkg-config --exists libdeflate 2>/dev/null && echo libdeflate)
PKGS    += $(DEFLATE)
CSTD    := -std=gnu11
WARN    = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(CI),-Werror)
# It runs with small stacks too (ulimit -s 64). Sanitizers and no optimization need more.
WARN    += $(if $(SAN)$(findstring -O0,$(CFLAGS)),,-Wframe-larger-than=16384)
CFLAGS  ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -I. $(if $(DEFLATE),-DWITH_LIBDEFLATE) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
# libiberty: names of C++ and Rust as they were written, by the demangler that gdb uses;
# libstdc++'s knows no Rust. Static, and it has no pkg-config file.
LDLIBS  += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -liberty -lpthread -lm
# What is read from a target is hostile, and often root reads it.
FORTIFY := $(if $(findstring -O0,$(CFLAGS))$(findstring _FORTIFY_SOURCE,$(CFLAGS) $(CPPFLAGS)),,-D_FORTIFY_SOURCE=2)
HARDEN  ?= $(if $(SAN),,-fstack-protector-strong $(FORTIFY))
LDFLAGS += -Wl,-z,relro -Wl,-z,now
ALL_CFLAGS = $(CSTD) $(WARN) $(CFLAGS) $(HARDEN) $(CPPFLAGS) -MMD -MP $(SAN)

# `make V=1` shows every command whole.
say = $(if $(V),,@printf '  %-6s %s\n' $1 $2;)

LAYERS  := base attach symbols objects unwind snapshot tasks query inject watch show serve cmd
SRC     := $(foreach d,$(LAYERS),$(wildcard $(d)/*.c))
OBJ     := $(SRC:%.c=$(B)/%.o)
LIBOBJ  := $(filter-out $(B)/cmd/main.o,$(OBJ))

.DEFAULT_GOAL := all
.PHONY: all
all: $(B)/asyncmon

# All rooms but main, for the program, the tests and the tools.
LIB := $(B)/libasyncmon.a
$(LIB): $(LIBOBJ) $(LIB).list
	$(call say,AR,$@)rm -f $@ $@.new && $(AR) rcs $@.new $(LIBOBJ) && mv $@.new $@

# Which objects there are: an archive that is newer than each of them may still lack one, or
# have one whose source is gone.
$(LIB).list: FORCE
	@mkdir -p $(@D)
	@echo $(LIBOBJ) | cmp -s - $@ || echo $(LIBOBJ) >$@
.PHONY: FORCE

$(B)/asyncmon: $(B)/cmd/main.o $(LIB)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The names of system calls, as the headers have them.
$(B)/syscall_list.h:
	@mkdir -p $(@D)
	$(call say,GEN,$@)echo '#include <sys/syscall.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define SYS_\([a-z0-9_]*\) .*/NAME(\1)/p' | sort >$@
$(B)/base/syscalls.o: $(B)/syscall_list.h
$(B)/base/syscalls.o: CPPFLAGS += -I$(B)

# Every tests/unit/test_*.c is one program.
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
$(B)/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) $(shell pkg-config --libs cmocka)

.PHONY: unit
unit: $(UNIT)
	@tests/leftover.py tests/run-unit $(UNIT)

.PHONY: install
install: all
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/lib/asyncmon/shim"
	install -m 755 $(B)/asyncmon "$(DESTDIR)$(PREFIX)/bin/asyncmon"
	install -m 755 $(B)/libasyncmon-agent.so "$(DESTDIR)$(PREFIX)/lib/asyncmon/"
	install -m 644 $(B)/asyncmon_agent.py "$(DESTDIR)$(PREFIX)/lib/asyncmon/"
	install -m 644 $(B)/shim/sitecustomize.py "$(DESTDIR)$(PREFIX)/lib/asyncmon/shim/"
	for page in man/*.[0-9]; do \
		section="$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}"; \
		install -d "$$section" && install -m 644 $$page "$$section"/ || exit 1; \
	done
	install -d "$(SHARE)/bash-completion/completions" "$(SHARE)/zsh/site-functions" "$(SHARE)/fish/vendor_completions.d"
	install -m 644 completions/asyncmon.bash "$(SHARE)/bash-completion/completions/asyncmon"
	install -m 644 completions/_asyncmon "$(SHARE)/zsh/site-functions/_asyncmon"
	install -m 644 completions/asyncmon.fish "$(SHARE)/fish/vendor_completions.d/asyncmon.fish"
	install -d "$(SHARE)/asyncmon"
	install -m 644 share/asyncmon/* "$(SHARE)/asyncmon/"

# What install put there. Of a staging folder, no empty folders either; in a system they
# may be somebody else's.
.PHONY: uninstall
uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/asyncmon" \
		"$(SHARE)/bash-completion/completions/asyncmon" \
		"$(SHARE)/zsh/site-functions/_asyncmon" \
		"$(SHARE)/fish/vendor_completions.d/asyncmon.fish"
	for page in man/*.[0-9]; do rm -f "$(SHARE)/man/man$${page##*.}/$${page##*/}"; done
	rm -rf "$(DESTDIR)$(PREFIX)/lib/asyncmon" "$(SHARE)/asyncmon"
	$(if $(DESTDIR),find "$(DESTDIR)" -mindepth 1 -depth -type d -empty -delete)

.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

include symbols/symbols.mk
include agent/agent.mk
include inject/inject.mk
include show/show.mk
include serve/serve.mk
include unwind/unwind.mk
include tests/tests.mk
include tests/lint.mk
include tests/fuzz.mk
