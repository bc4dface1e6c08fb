/* Depthwise convolution of one channel, f32, over a packed plane (ops/pack.h): stride, dilation and padding are in
 * the packing, so every tap is a contiguous load at a constant distance. */
#include <assert.h>

#include "kernels.h"
#include "vector.h"

enum { VECTORS = 4 };

__attribute__((always_inline)) static inline void depthwise_tile(const goss_depthwise_f32_args *a, size_t pixel,
                                                                 int vectors)
{
    const vf32 min = vf32_splat(a->min), max = vf32_splat(a->max);
    const char *x = (const char *)(a->x + pixel);
    vf32 acc[VECTORS];

    for (int v = 0; v < vectors; v++) acc[v] = vf32_splat(a->bias);
    for (size_t tap = 0; tap < a->taps; tap++) {
        const float *in = (const float *)(const void *)(x + a->tap_offset[tap]);
        const vf32 weight = vf32_splat(a->weights[tap]);
        for (int v = 0; v < vectors; v++) acc[v] = vf32_madd(acc[v], vf32_load(in + v * VF32_LANES), weight);
    }
    for (int v = 0; v < vectors; v++) vf32_store(a->y + pixel + v * VF32_LANES, vf32_clamp(acc[v], min, max));
}

void GOSS_KERNEL(depthwise_f32)(const goss_depthwise_f32_args *a)
{
    assert(a->pixels > 0 && a->pixels % VF32_LANES == 0);
    size_t pixel = 0;
    for (; pixel + VECTORS * VF32_LANES <= a->pixels; pixel += VECTORS * VF32_LANES) depthwise_tile(a, pixel, VECTORS);
    for (; pixel < a->pixels; pixel += VF32_LANES) depthwise_tile(a, pixel, 1);
}
