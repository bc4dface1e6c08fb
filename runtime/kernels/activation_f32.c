/* Activations that need the exponential, f32, element by element. Runs over the padding as well. */
#include <assert.h>

#include "exp.h"
#include "kernels.h"
#include "vector.h"

/* y / (1 + e^-x) */
static inline vf32 logistic_times(vf32 x, vf32 y)
{
    return vf32_div(y, vf32_add(vf32_splat(1), exp_within_87(vf32_sub(vf32_splat(0), x))));
}

void GOSS_KERNEL(sigmoid_f32)(const goss_activation_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    for (size_t i = 0; i < a->count; i += VF32_LANES)
        vf32_store(a->y + i, logistic_times(vf32_load(a->x + i), vf32_splat(1)));
}

void GOSS_KERNEL(silu_f32)(const goss_activation_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const vf32 x = vf32_load(a->x + i);
        vf32_store(a->y + i, logistic_times(x, x));
    }
}
