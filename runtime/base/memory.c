#include "memory.h"

#include <stdint.h>
#include <stdlib.h>

#include "gossamer.h"

/* The address that calloc() gave lies in front of the aligned block. */
void *goss_alloc_zeroed(size_t bytes)
{
    if (bytes > SIZE_MAX - GOSS_ALIGNMENT - sizeof(void *)) return NULL;
    char *memory = calloc(1, bytes + GOSS_ALIGNMENT + sizeof(void *));
    if (!memory) return NULL;
    const uintptr_t first = (uintptr_t)memory + sizeof(void *);
    char *aligned = memory + sizeof(void *) + (size_t)(-first % GOSS_ALIGNMENT);
    ((void **)(void *)aligned)[-1] = memory;
    return aligned;
}

void *goss_alloc(size_t bytes) { return goss_alloc_zeroed(bytes); }

void goss_free(void *memory)
{
    if (memory) free(((void **)memory)[-1]);
}
