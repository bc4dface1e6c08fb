/* Activations that need the exponential, f32, element by element. Runs over the padding as well. */
#include <assert.h>

#include "exp.h"
#include "kernels.h"
#include "vector.h"

/* 1 / (1 + e^-x), from e^-|x|, which cannot overflow. */
static inline vf32 logistic(vf32 x)
{
    const vf32 zero = vf32_splat(0), one = vf32_splat(1);
    const vf32 e = exp_nonpositive(vf32_min(x, vf32_sub(zero, x)));
    return vf32_div(vf32_if_negative(x, e, one), vf32_add(one, e));
}

void GOSS_KERNEL(sigmoid_f32)(const goss_activation_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    for (size_t i = 0; i < a->count; i += VF32_LANES) vf32_store(a->y + i, logistic(vf32_load(a->x + i)));
}

void GOSS_KERNEL(silu_f32)(const goss_activation_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const vf32 x = vf32_load(a->x + i);
        vf32_store(a->y + i, vf32_mul(x, logistic(x)));
    }
}
