#include "cmd/serve.h"

#include "show/html.h"

void serve_pages(struct watches *ws, const struct asked *a, struct reply *r)
{
	(void)ws;
	reply_error(r, a, err_new(E_NOTFOUND, "there is no such page"));
}
