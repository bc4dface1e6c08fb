/* Depthwise convolution of one channel, f32, over a packed plane: stride, dilation and padding are in the packing, so
 * every tap is a contiguous load at a constant distance. */
#include <stdbool.h>

#include "kernels.h"
#include "vector.h"

enum { VECTORS = 4 };

/* `vectors` of results of one row. With constant vectors the inner loops unroll. */
__attribute__((always_inline)) static inline void depthwise_tile(const goss_depthwise_f32_args *a, const float *x,
                                                                 float *y, int vectors)
{
    const vf32 min = vf32_splat(a->min), max = vf32_splat(a->max);
    vf32 acc[VECTORS];
    for (int v = 0; v < vectors; v++) acc[v] = vf32_splat(a->bias);
    GOSS_ROLLED
    for (size_t tap = 0; tap < a->taps; tap++) {
        const float *in = (const float *)(const void *)((const char *)x + a->tap_offset[tap]);
        const vf32 weight = vf32_splat(a->weights[tap]);
        for (int v = 0; v < vectors; v++) acc[v] = vf32_madd(acc[v], vf32_load(in + v * VF32_LANES), weight);
    }
    for (int v = 0; v < vectors; v++) vf32_store(y + v * VF32_LANES, vf32_clamp(acc[v], min, max));
}

__attribute__((always_inline)) static inline void depthwise_row(const goss_depthwise_f32_args *a, const float *x,
                                                                float *y, size_t vectors)
{
    enum { STEP = VF32_LANES };
    for (; vectors >= 4; vectors -= 4, x += 4 * STEP, y += 4 * STEP) depthwise_tile(a, x, y, 4);
    if (vectors >= 2) {
        depthwise_tile(a, x, y, 2);
        vectors -= 2, x += 2 * STEP, y += 2 * STEP;
    }
    if (vectors > 0) depthwise_tile(a, x, y, 1);
}

/* Rows in whole vectors, from first to last: what runs over the end of a row is overwritten by the next one. Behind the
 * last row lies somebody else's. */
void GOSS_KERNEL(depthwise_f32)(const goss_depthwise_f32_args *a)
{
    const size_t vectors = a->y_columns / VF32_LANES, whole = vectors * VF32_LANES, rest = a->y_columns - whole;
    const float *x = a->x;
    float *y = a->y;
    for (size_t row = 0; row < a->rows; row++, x += a->x_columns, y += a->y_columns) {
        const bool room = whole + VF32_LANES <= (a->rows - row) * a->y_columns;
        depthwise_row(a, x, y, vectors + (rest > 0 && room));
        if (rest > 0 && !room) {
            float last[VF32_LANES];
            depthwise_tile(a, x + whole, last, 1);
            for (size_t c = 0; c < rest; c++) y[whole + c] = last[c];
        }
    }
}
