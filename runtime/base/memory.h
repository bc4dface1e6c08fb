/* Aligned memory. */
#ifndef GOSS_MEMORY_H
#define GOSS_MEMORY_H

#include <stddef.h>

enum { GOSS_ALIGNMENT = 64 };

/* Zeroed memory aligned to GOSS_ALIGNMENT, which the system may commit when it is first touched. NULL when there
 * is none. Released by goss_free(). */
void *goss_alloc_zeroed(size_t bytes);

#endif
