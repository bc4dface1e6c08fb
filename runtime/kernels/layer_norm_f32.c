/* Normalization of one row, f32, in three passes: squares of differences lose less than differences of squares. */
#include <assert.h>
#include <math.h>

#include "kernels.h"
#include "vector.h"

void GOSS_KERNEL(layer_norm_f32)(const goss_layer_norm_f32_args *a)
{
    assert(a->count > 0);
    const vf32 zero = vf32_splat(0);
    vf32 sum = zero, squares = zero;
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const size_t valid = a->count - i < VF32_LANES ? a->count - i : VF32_LANES;
        sum = vf32_add(sum, vf32_first(vf32_load(a->x + i), valid, zero));
    }
    const vf32 mean = vf32_splat(vf32_sum(sum) / (float)a->count);
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const size_t valid = a->count - i < VF32_LANES ? a->count - i : VF32_LANES;
        const vf32 distance = vf32_first(vf32_sub(vf32_load(a->x + i), mean), valid, zero);
        squares = vf32_madd(squares, distance, distance);
    }
    const vf32 factor = vf32_splat(1 / sqrtf(vf32_sum(squares) / (float)a->count + a->epsilon));
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        vf32 y = vf32_mul(vf32_sub(vf32_load(a->x + i), mean), factor);
        if (a->scale) y = vf32_madd(vf32_load(a->bias + i), y, vf32_load(a->scale + i));
        vf32_store_first(a->y + i, y, a->count - i);
    }
}
