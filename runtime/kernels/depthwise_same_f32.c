/* Depthwise convolution of one plane onto one of the same size, f32, where it lies: the plane is one run of pixels, so
 * every kernel position is a load at a constant distance, and vectors run on across the ends of rows. What a kernel
 * column reads beyond the left or right end of a row is cleared by a mask, once for the sum of the column. */
#include "kernels.h"
#include "vector.h"

enum { VECTORS = 4 };

/* acc += the kernel column, from top to bottom. */
__attribute__((always_inline)) static inline void add_column(const goss_depthwise_same_f32_args *a, const float *x,
                                                             size_t column, int vectors, vf32 *acc)
{
    const float *weight = a->weights + column, *in = x + a->column_offset[column];
    GOSS_ROLLED
    for (size_t row = 0; row < a->kernel_y; row++, weight += a->kernel_x, in += a->row_offset) {
        const vf32 w = vf32_splat(*weight);
        for (int v = 0; v < vectors; v++) acc[v] = vf32_madd(acc[v], vf32_load(in + v * VF32_LANES), w);
    }
}

__attribute__((always_inline)) static inline void same_tile(const goss_depthwise_same_f32_args *a, size_t pixel,
                                                            size_t place, int vectors)
{
    const vf32 min = vf32_splat(a->min), max = vf32_splat(a->max);
    const float *x = a->x + pixel;
    vf32 acc[VECTORS];
    for (int v = 0; v < vectors; v++) acc[v] = vf32_splat(a->bias);
    for (size_t column = 0; column < a->kernel_x; column++) {
        const float *mask = a->masks[column];
        if (!mask) {
            add_column(a, x, column, vectors, acc);
            continue;
        }
        vf32 sum[VECTORS];
        for (int v = 0; v < vectors; v++) sum[v] = vf32_splat(0);
        add_column(a, x, column, vectors, sum);
        for (int v = 0; v < vectors; v++)
            acc[v] = vf32_add(acc[v], vf32_and(sum[v], vf32_load(mask + place + v * VF32_LANES)));
    }
    for (int v = 0; v < vectors; v++) vf32_store(a->y + pixel + v * VF32_LANES, vf32_clamp(acc[v], min, max));
}

void GOSS_KERNEL(depthwise_same_f32)(const goss_depthwise_same_f32_args *a)
{
    enum { WIDTH = VECTORS * VF32_LANES };
    size_t pixel = 0, place = a->place;
    for (; pixel + WIDTH <= a->pixels; pixel += WIDTH) {
        same_tile(a, pixel, place, VECTORS);
        for (place += WIDTH; place >= a->period;) place -= a->period;
    }
    for (; pixel < a->pixels; pixel += VF32_LANES) {
        same_tile(a, pixel, place, 1);
        place = place + VF32_LANES == a->period ? 0 : place + VF32_LANES;
    }
}
