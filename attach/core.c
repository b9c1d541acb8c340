/* A core dump as a target. */
#include "attach/target.h"

err_t target_open_core(const char *path, const struct target_opts *o, struct target **out)
{
	(void)o;
	(void)out;
	return err_new(E_UNSUPPORTED, "%s: core dumps cannot be read yet", path);
}
