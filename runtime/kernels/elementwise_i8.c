/* Quad by quad, i8. Runs over the padding as well. */
#include <assert.h>
#include <stdbool.h>

#include "requantize.h"

enum { QUAD = 4, STEP = QUAD * VF32_LANES, BYTES_PICKED = 16, TABLE = 128 };

void GOSS_KERNEL(add_i8)(const goss_add_i8_args *args)
{
    assert(args->count % VF32_LANES == 0);
    const targets t = targets_of(args->target);
    const vi32 a_zero = vi32_splat(args->a_zero_point), b_zero = vi32_splat(args->b_zero_point);
    const vf32 a_multiplier = vf32_splat(args->a_multiplier), b_multiplier = vf32_splat(args->b_multiplier);
    for (size_t i = 0; i < args->count * QUAD; i += STEP) {
        const vi32 a = vi32_load(args->a + i), b = vi32_load(args->b + i);
        vf32 v[QUAD];
        for (int k = 0; k < QUAD; k++)
            v[k] = vf32_add(vf32_mul(offset_vector(a, k, a_zero), a_multiplier),
                            vf32_mul(offset_vector(b, k, b_zero), b_multiplier));
        vi32_store(args->y + i, round_vectors(v, &t));
    }
}

/* By the quad of b at the same place, or by its first one. The product of two small whole numbers is exact. */
static inline void multiply(const goss_multiply_i8_args *args, bool one)
{
    assert(args->count % VF32_LANES == 0);
    const targets t = targets_of(args->target);
    const vi32 a_zero = vi32_splat(args->a_zero_point), b_zero = vi32_splat(args->b_zero_point);
    const vf32 multiplier = vf32_splat(args->multiplier);
    const uint8_t *first[VF32_LANES / QUAD];
    for (size_t i = 0; i < VF32_LANES / QUAD; i++) first[i] = args->b;
    const vi32 factors = one ? vi8_spread(first) : vi32_splat(0);
    for (size_t i = 0; i < args->count * QUAD; i += STEP) {
        const vi32 a = vi32_load(args->a + i), b = one ? factors : vi32_load(args->b + i);
        vf32 v[QUAD];
        for (int k = 0; k < QUAD; k++)
            v[k] = vf32_mul(vf32_mul(offset_vector(a, k, a_zero), offset_vector(b, k, b_zero)), multiplier);
        vi32_store(args->y + i, round_vectors(v, &t));
    }
}

void GOSS_KERNEL(multiply_i8)(const goss_multiply_i8_args *args) { multiply(args, false); }
void GOSS_KERNEL(scale_i8)(const goss_multiply_i8_args *args) { multiply(args, true); }

/* The table in eighths: each gives the bytes that number one of its 16 entries, and zeros. */
void GOSS_KERNEL(lookup_i8)(const goss_lookup_i8_args *a)
{
    assert(a->count % VF32_LANES == 0);
    const vi32 next = vi32_splat((int32_t)0xF0F0F0F0u); /* -16 in every byte */
    for (size_t i = 0; i < a->count * QUAD; i += STEP) {
        vi32 index = vi32_load(a->x + i), y = vi8_pick(a->table, index);
        for (size_t first = BYTES_PICKED; first < TABLE; first += BYTES_PICKED) {
            index = vi8_add(index, next);
            y = vi8_add(y, vi8_pick(a->table + first, index));
        }
        vi32_store(a->y + i, y);
    }
}
