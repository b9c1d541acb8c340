/* Where in a Python a text can be put for it to run: what inject/inject.h asks for. */
#ifndef ASYNCMON_INJECT_SITE_H
#define ASYNCMON_INJECT_SITE_H

#include "inject/inject.h"
#include "symbols/python.h"

/* E_UNSUPPORTED: this Python has no way in that is known (says why); E_GONE. Looks at the
 * target without stopping it. */
err_t inject_site_find(struct python *py, struct inject_site *site);

#endif
