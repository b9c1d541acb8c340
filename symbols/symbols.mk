# layout-dump prints an offset table from DWARF.
$(B)/layout-dump: tests/tools/layout_dump.c $(patsubst %.c,$(B)/%.o,$(wildcard symbols/tables*.c)) \
		$(B)/symbols/dwarf.o $(B)/symbols/dwarf_fields.o $(B)/symbols/layout.o $(B)/base/err.o $(B)/base/oom.o
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
