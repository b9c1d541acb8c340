#include "cmd/texts.h"

/* The assembler puts a file in as it is. Paths are from where make runs. */
#define TEXT(name, file)                    \
	__asm__(".section .rodata\n"        \
		".global " #name "\n"       \
		#name ":\n"                 \
		".incbin \"" file "\"\n"    \
		".byte 0\n"                 \
		".previous\n")

TEXT(text_link, "cmd/target_link.py");
TEXT(text_cancel, "cmd/target_cancel.py");
TEXT(text_console, "cmd/target_console.py");
