#include "inject/texts.h"

/* The assembler puts a file in as it is. Paths are from where make runs. */
#define TEXT(name, file)                    \
	__asm__(".section .rodata\n"        \
		".global " #name "\n"       \
		#name ":\n"                 \
		".incbin \"" file "\"\n"    \
		".byte 0\n"                 \
		".previous\n")

TEXT(text_link, "inject/target_link.py");
TEXT(text_cancel, "inject/target_cancel.py");
TEXT(text_console, "inject/target_console.py");
