# stack-dump prints merged stacks and what they cost, for tests.
$(B)/stack-dump: tests/tools/stack_dump.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
