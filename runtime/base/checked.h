/* Size arithmetic on numbers that may come from a hostile file. Returns false on overflow. */
#ifndef GOSS_CHECKED_H
#define GOSS_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool checked_multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline bool checked_add(size_t a, size_t b, size_t *sum) { return !__builtin_add_overflow(a, b, sum); }

/* Rounds up to a multiple of a power of two. */
static inline bool checked_align_up(size_t value, size_t alignment, size_t *aligned)
{
    if (!checked_add(value, alignment - 1, aligned)) return false;
    *aligned &= ~(alignment - 1);
    return true;
}

#endif
