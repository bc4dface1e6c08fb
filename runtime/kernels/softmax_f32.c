/* Softmax of one row, f32. */
#include <assert.h>
#include <math.h>

#include "exp.h"
#include "kernels.h"
#include "vector.h"

void GOSS_KERNEL(softmax_f32)(const goss_softmax_f32_args *a)
{
    assert(a->count > 0);
    const vf32 lowest = vf32_splat(-INFINITY), zero = vf32_splat(0);
    vf32 largest = lowest, sum = zero;

    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const size_t valid = a->count - i < VF32_LANES ? a->count - i : VF32_LANES;
        largest = vf32_max(largest, vf32_first(vf32_load(a->x + i), valid, lowest));
    }
    const vf32 shift = vf32_splat(vf32_largest(largest));
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const size_t valid = a->count - i < VF32_LANES ? a->count - i : VF32_LANES;
        const fraction power = exp_minus(vf32_sub(shift, vf32_load(a->x + i)));
        const vf32 e = vf32_first(vf32_div(power.dividend, power.divisor), valid, zero);
        sum = vf32_add(sum, e);
        vf32_store_first(a->y + i, e, valid);
    }
    const vf32 scale = vf32_splat(1.0f / vf32_sum(sum));
    for (size_t i = 0; i < a->count; i += VF32_LANES)
        vf32_store_first(a->y + i, vf32_mul(vf32_load(a->y + i), scale), a->count - i);
}
