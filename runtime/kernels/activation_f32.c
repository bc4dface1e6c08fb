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

static inline vf32 silu(vf32 x) { return vf32_mul(x, sigmoid(x)); }

__attribute__((always_inline)) static inline void activate(const goss_activation_f32_args *a, vf32 (*f)(vf32))
{
    assert(a->count % VF32_LANES == 0);
    const float *x = a->x;
    float *y = a->y;
    for (size_t row = 0; row < a->rows; row++, x += a->stride, y += a->stride)
        for (size_t i = 0; i < a->count; i += VF32_LANES) vf32_store(y + i, f(vf32_load(x + i)));
}

void GOSS_KERNEL(sigmoid_f32)(const goss_activation_f32_args *a) { activate(a, sigmoid); }
void GOSS_KERNEL(silu_f32)(const goss_activation_f32_args *a) { activate(a, silu); }
