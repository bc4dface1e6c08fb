/* Largest values under windows over a packed plane of quads, and the mean of a whole one. */
#include <string.h>

#include "requantize.h"

enum { QUAD = 4, STEP = QUAD * VF32_LANES };

static inline vi32 largest(const goss_max_pool_i8_args *a, const uint8_t *x)
{
    vi32 y = vi32_load(x + a->tap_offset[0]);
    for (size_t tap = 1; tap < a->taps; tap++) y = vi8_max(y, vi32_load(x + a->tap_offset[tap]));
    return y;
}

/* Whole vectors, then what is left of a row. */
void GOSS_KERNEL(max_pool_i8)(const goss_max_pool_i8_args *a)
{
    const size_t row_bytes = a->y_columns * QUAD, whole = row_bytes - row_bytes % STEP;
    const uint8_t *x = a->x;
    uint8_t *y = a->y;
    for (size_t row = 0; row < a->rows; row++, x += a->x_columns * QUAD, y += row_bytes) {
        for (size_t i = 0; i < whole; i += STEP) vi32_store(y + i, largest(a, x + i));
        if (whole < row_bytes) {
            uint8_t last[STEP];
            vi32_store(last, largest(a, x + whole));
            memcpy(y + whole, last, row_bytes - whole);
        }
    }
}

/* Transposed, 4 pixels of a channel lie together: a dot product with ones sums them. */
void GOSS_KERNEL(global_average_pool_i8)(const goss_global_average_pool_i8_args *a)
{
    const size_t whole = a->pixels - a->pixels % VF32_LANES;
    const vdot_w ones = vdot_weights(vi32_splat(0x01010101));
    vdot acc = vdot_from(0);
    for (size_t i = 0; i < whole; i += VF32_LANES)
        acc = vdot_add(acc, vdot_bytes(vi8_transpose(vi32_load(a->x + i * QUAD))), ones);

    int32_t lanes[VF32_LANES], sum[QUAD] = {0};
    vi32_store(lanes, vdot_sum(acc));
    for (size_t i = 0; i < VF32_LANES; i++) sum[i % QUAD] += lanes[i];
    for (size_t i = whole * QUAD; i < a->pixels * QUAD; i++) sum[i % QUAD] += a->x[i];
    for (size_t c = 0; c < QUAD; c++)
        a->y[c] = round_i8((float)(sum[c] - (int32_t)a->pixels * a->zero_point) * a->multiplier, a->target);
}
