#include "unwind/bytes.h"

#include <string.h>

#include "symbols/elf.h"

/* Makes the file that a read-only mapping shows at addr the current one. */
static bool pick_file(struct unwind_bytes *b, uint64_t addr)
{
	if (addr >= b->file_start && addr < b->file_end)
		return true;
	const struct mapping *mp = target_mapping(b->target, addr);
	struct module *m = mp && !mp->write && mp->inode ? modules_by_addr(b->modules, addr) : NULL;
	struct elf *elf = m ? module_elf(m) : NULL;
	if (!elf || elf_fd(elf) < 0)
		return false;
	b->file = elf;
	b->file_start = mp->start;
	b->file_end = mp->end;
	b->file_bias = module_bias(m);
	return true;
}

/* Puts what of the file is known around them into the window. */
static bool look_into_file(struct unwind_bytes *b, uint64_t addr, size_t len)
{
	uint64_t before, behind;
	if (!pick_file(b, addr) || len > b->file_end - addr)
		return false;
	const uint8_t *p = elf_near(b->file, addr - b->file_bias, len, &before, &behind);
	if (!p)
		return false;
	if (before > addr - b->file_start)
		before = addr - b->file_start;
	if (behind > b->file_end - addr - len)
		behind = b->file_end - addr - len;
	b->window = p - before;
	b->window_start = addr - before;
	b->window_end = addr + len + behind;
	return true;
}

static bool in_window(const struct unwind_bytes *b, uint64_t addr)
{
	return addr >= b->window_start && addr < b->window_end;
}

bool bytes_read(struct unwind_bytes *b, uint64_t addr, void *buf, size_t len)
{
	if ((!in_window(b, addr) || len > b->window_end - addr) && !look_into_file(b, addr, len))
		return image_read(b->target->image, addr, buf, len);
	memcpy(buf, b->window + (addr - b->window_start), len);
	return true;
}

static size_t least(size_t a, uint64_t b)
{
	return a < b ? a : (size_t)b;
}

size_t bytes_some(struct unwind_bytes *b, uint64_t addr, void *buf, size_t most)
{
	size_t len;
	if (in_window(b, addr)) {
		len = least(most, b->window_end - addr);
		memcpy(buf, b->window + (addr - b->window_start), len);
		return len;
	}
	len = pick_file(b, addr) ? elf_copy_at(b->file, addr - b->file_bias, least(most, b->file_end - addr), buf) : 0;
	if (len)
		return len;
	/* No further than its page: what is behind it may not be known. */
	len = least(most, IMAGE_PAGE - addr % IMAGE_PAGE);
	return image_read(b->target->image, addr, buf, len) ? len : 0;
}
