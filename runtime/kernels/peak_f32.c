/* How fast the multiply-add units are: the yardstick of a benchmark. */
#include "kernels.h"
#include "vector.h"

enum {
    /* Independent sums: enough to fill the units' pipelines, few enough for 16 registers. */
    SUMS = 12,
};

size_t GOSS_KERNEL(multiply_adds_f32)(size_t rounds, float *sink)
{
    vf32 sums[SUMS];
    /* Each sum is multiplied, or a compiler without fused multiply-adds would take the product out of the loop. */
    const vf32 factor = vf32_splat(0.5f), one = vf32_splat(1);
    for (size_t i = 0; i < SUMS; i++) sums[i] = vf32_splat((float)i);
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < SUMS; i++) sums[i] = vf32_madd(one, sums[i], factor);
    vf32 total = sums[0];
    for (size_t i = 1; i < SUMS; i++) total = vf32_add(total, sums[i]);
    *sink = vf32_sum(total);
    return rounds * SUMS * VF32_LANES;
}
