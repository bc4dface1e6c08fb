/* Activations that need the exponential, f32, element by element. Runs over the padding as well. */
#include <assert.h>

#include "exp.h"
#include "kernels.h"
#include "vector.h"

/* 1 / (1 + e^-x) */
static inline vf32 sigmoid(vf32 x)
{
    const fraction e = exp_minus(x);
    return vf32_div(e.divisor, vf32_add(e.divisor, e.dividend));
}

void GOSS_KERNEL(sigmoid_f32)(const goss_activation_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    for (size_t i = 0; i < a->count; i += VF32_LANES) vf32_store(a->y + i, sigmoid(vf32_load(a->x + i)));
}

void GOSS_KERNEL(silu_f32)(const goss_activation_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const vf32 x = vf32_load(a->x + i);
        vf32_store(a->y + i, vf32_mul(x, sigmoid(x)));
    }
}
