# The agent: one shared object for every CPython. It links with nothing: whatever libc
# and Python the process has serve it, so it is the same file in a glibc of any age.
AGENT_SRC := $(wildcard agent/*.c) symbols/layout.c $(wildcard symbols/tables*.c)
AGENT_OBJ := $(AGENT_SRC:%.c=$(B)/pic/%.o)
AGENT_FILES := $(B)/libasyncmon-agent.so $(B)/asyncmon_agent.py $(B)/shim/sitecustomize.py

all: $(AGENT_FILES)

$(B)/pic/%.o: %.c Makefile agent/agent.mk
	@mkdir -p $(@D)
	$(call say,PIC,$<)$(CC) $(CSTD) $(WARN) $(CFLAGS) -D_GNU_SOURCE -I. -MMD -MP -fPIC -fvisibility=hidden \
		-fno-stack-protector -U_FORTIFY_SOURCE -c -o $@ $<

$(B)/libasyncmon-agent.so: $(AGENT_OBJ)
	$(call say,LINK,$@)$(CC) -shared -nostdlib -Wl,-soname,$(@F) -Wl,-z,now -o $@ $^ -lgcc

$(B)/asyncmon_agent.py: agent/asyncmon_agent.py
	@mkdir -p $(@D)
	cp $< $@

$(B)/shim/sitecustomize.py: agent/sitecustomize.py
	@mkdir -p $(@D)
	cp $< $@

.PHONY: bench-agent
bench-agent: all
	@/usr/bin/python3 tests/bench/agent.py
bench: bench-agent
