# fuzz: libFuzzer over cores, saved looks, ELF files, unwind data, objects, frames and the agent's
# memory, under sanitizers, FUZZ_SECONDS for each target. Seeds are made, or lie in tests/fuzz/corpus where they
# cannot be; what was found to matter is kept in build/fuzz/corpus.

FUZZ_SECONDS ?= 60
FUZZ_SEED    ?= 0
FUZZ_CC      ?= clang
FUZZ_FLAGS   := address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ         := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_DIR     := build/fuzz
FUZZ_COMMA   := ,
FUZZ_WRAP    := $(foreach f,find range_at read str,-Wl$(FUZZ_COMMA)--wrap=image_$f)

.PHONY: fuzz fuzz-build
fuzz: all
	@$(MAKE) --no-print-directory B=$(FUZZ_DIR) CC=$(FUZZ_CC) CFLAGS="-O1 -g" \
		SAN="-fsanitize=fuzzer-no-link,$(FUZZ_FLAGS)" fuzz-build
	@mkdir -p $(FUZZ:%=$(FUZZ_DIR)/corpus/%) $(FUZZ_DIR)/found
	@$(FUZZ_DIR)/seeds $(FUZZ_DIR)/corpus/fuzz_core
	@tests/fuzz/elf_seeds $(FUZZ_DIR)/corpus/fuzz_elf
	@tests/fuzz/frame_seeds $(FUZZ_DIR)/corpus/fuzz_unwind
	@test -e $(FUZZ_DIR)/core || /usr/bin/python3 tests/fuzz/make_core.py $(FUZZ_DIR)
	@$(B)/asyncmon save --force $(FUZZ_DIR)/core $(FUZZ_DIR)/look >$(FUZZ_DIR)/look.log 2>&1
	@$(FUZZ_DIR)/saved_seeds $(FUZZ_DIR)/look $(FUZZ_DIR)/corpus/fuzz_saved
	@for f in $(FUZZ); do \
		printf '  FUZZ   %s %ss\n' $$f $(FUZZ_SECONDS); \
		FUZZ_CORE=$(FUZZ_DIR)/core TMPDIR=$(FUZZ_DIR) $(FUZZ_DIR)/$$f \
			-max_total_time=$(FUZZ_SECONDS) -seed=$(FUZZ_SEED) -timeout=20 -rss_limit_mb=4096 -max_len=65536 \
			-print_final_stats=1 -artifact_prefix=$(FUZZ_DIR)/found/$$f- \
			$(FUZZ_DIR)/corpus/$$f $$(ls -d tests/fuzz/corpus/$$f 2>/dev/null) \
			> $(FUZZ_DIR)/$$f.log 2>&1 \
			|| { tail -40 $(FUZZ_DIR)/$$f.log; exit 1; }; \
		grep -E 'number_of_executed_units|average_exec|^Done' $(FUZZ_DIR)/$$f.log; \
	done

# All of them for a short while, as CI does; nothing where the compiler has no libFuzzer. The seed is
# fixed, so that a finding belongs to the change that brought it and not to the run.
.PHONY: fuzz-short
fuzz-short:
	@if echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
		$(FUZZ_CC) -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null; then \
		$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=10 FUZZ_SEED=1; \
	else \
		echo "fuzz-short: skipped, $(FUZZ_CC) has no libFuzzer (Debian: libclang-rt-14-dev, libclang-rt-19-dev)"; \
	fi

fuzz-build: $(FUZZ:%=$(B)/%) $(B)/seeds $(B)/saved_seeds

$(B)/fuzz_%: tests/fuzz/fuzz_%.c $(LIB)
	$(call say,FUZZ,$@)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(FUZZ_WRAP) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) \
		$(shell pkg-config --libs cmocka)

$(B)/saved_seeds: tests/fuzz/saved_seeds.c $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

$(B)/seeds: tests/fuzz/seeds.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) -O1 -I. -D_GNU_SOURCE -o $@ $< $(LDLIBS)
