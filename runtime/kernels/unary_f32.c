/* Functions of one number, f32, element by element. Runs over the padding as well. Those that compilers turn into
 * instructions of their own are plain loops. */
#include <assert.h>
#include <math.h>

#include "exp.h"
#include "kernels.h"
#include "vector.h"

/* The square of e^(x / 2), which stays within the exponential's range until the square is 0 or infinite. */
void GOSS_KERNEL(exp_f32)(const goss_activation_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    for (size_t row = 0; row < a->rows; row++)
        for (size_t i = 0; i < a->count; i += VF32_LANES) {
            const fraction e = exp_minus(vf32_mul(vf32_load(a->x + row * a->stride + i), vf32_splat(-0.5f)));
            const vf32 root = vf32_div(e.dividend, e.divisor);
            vf32_store(a->y + row * a->stride + i, vf32_mul(root, root));
        }
}

static inline float reciprocal(float x) { return 1 / x; }
static inline float sign(float x) { return (float)(x > 0) - (float)(x < 0); }

#define UNARY(name, function)                                                                                          \
    void GOSS_KERNEL(name##_f32)(const goss_activation_f32_args *a)                                                    \
    {                                                                                                                  \
        for (size_t row = 0; row < a->rows; row++) {                                                                   \
            const float *x = a->x + row * a->stride;                                                                   \
            float *y = a->y + row * a->stride;                                                                         \
            GOSS_ROLLED                                                                                                \
            for (size_t i = 0; i < a->count; i++) y[i] = function(x[i]);                                               \
        }                                                                                                              \
    }

UNARY(log, logf)
UNARY(sqrt, sqrtf)
UNARY(abs, fabsf)
UNARY(reciprocal, reciprocal)
UNARY(floor, floorf)
UNARY(ceil, ceilf)
UNARY(round, rintf) /* halves to even */
UNARY(sign, sign)
UNARY(sin, sinf)
UNARY(cos, cosf)
