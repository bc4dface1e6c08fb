/* Element by element, f32. Runs over the padding as well. */
#include <assert.h>

#include "kernels.h"
#include "vector.h"

void GOSS_KERNEL(add_f32)(const goss_add_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    const vf32 min = vf32_splat(a->min), max = vf32_splat(a->max);
    for (size_t i = 0; i < a->count; i += VF32_LANES)
        vf32_store(a->y + i, vf32_clamp(vf32_add(vf32_load(a->a + i), vf32_load(a->b + i)), min, max));
}

void GOSS_KERNEL(clamp_f32)(const goss_clamp_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    const vf32 min = vf32_splat(a->min), max = vf32_splat(a->max);
    for (size_t i = 0; i < a->count; i += VF32_LANES) vf32_store(a->y + i, vf32_clamp(vf32_load(a->x + i), min, max));
}

void GOSS_KERNEL(multiply_f32)(const goss_multiply_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    for (size_t i = 0; i < a->count; i += VF32_LANES)
        vf32_store(a->y + i, vf32_mul(vf32_load(a->a + i), vf32_load(a->b + i)));
}

void GOSS_KERNEL(scale_f32)(const goss_scale_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    const vf32 factor = vf32_splat(a->factor);
    for (size_t i = 0; i < a->count; i += VF32_LANES) vf32_store(a->y + i, vf32_mul(vf32_load(a->x + i), factor));
}

int GOSS_KERNEL(all_finite_f32)(const float *x, size_t count)
{
    /* v - v is 0 for finite v and NaN otherwise, and NaN stays in a sum. */
    const vf32 zero = vf32_splat(0);
    const size_t whole = count - count % VF32_LANES;
    vf32 sum = zero;
    for (size_t i = 0; i < whole; i += VF32_LANES) {
        const vf32 v = vf32_load(x + i);
        sum = vf32_add(sum, vf32_sub(v, v));
    }
    float total = vf32_sum(sum);
    for (size_t i = whole; i < count; i++) total += x[i] - x[i];
    return total == 0;
}
