#include "platform.h"

#include <stdio.h>
#include <stdlib.h>

region region_new(size_t bytes)
{
    const size_t whole = (bytes + 63) / 64 * 64;
    region memory = {.start = aligned_alloc(64, whole), .bytes = whole};
    if (!memory.start) {
        fprintf(stderr, "kernel_tests: %zu bytes could not be allocated\n", whole);
        exit(EXIT_FAILURE);
    }
    return memory;
}

void region_free(region memory) { free(memory.start); }

const char *platform_limits(void) { return "reads past a buffer go unnoticed here: memory cannot be protected"; }

/* A trap reaches JavaScript as an exception whose stack names the kernel. */
void print_on_crash(const char *subject) { (void)subject; }
