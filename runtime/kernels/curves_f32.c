/* More activations, f32, element by element. Runs over the padding as well. Those with an exponential or a logarithm
 * are within some 2^-23 of what they compute, or of x where they grow with it. */
#include <assert.h>

#include "exp.h"
#include "kernels.h"
#include "vector.h"

static inline vf32 constant(float s) { return vf32_splat(s); }
static inline vf32 magnitude(vf32 x) { return vf32_max(x, vf32_sub(constant(0), x)); }
static inline vf32 positive_part(vf32 x) { return vf32_max(x, constant(0)); }

/* e^-x */
static inline vf32 power(vf32 x)
{
    const fraction e = exp_minus(x);
    return vf32_div(e.dividend, e.divisor);
}

/* 1 / (1 + e^-x) */
static inline vf32 logistic(vf32 x)
{
    const fraction e = exp_minus(x);
    return vf32_div(e.divisor, vf32_add(e.divisor, e.dividend));
}

static inline vf32 hard_swish(vf32 x)
{
    const vf32 gate = vf32_madd(constant(0.5f), x, constant(1.0f / 6));
    return vf32_mul(x, vf32_clamp(gate, constant(0), constant(1)));
}

/* (1 - e^-2x) / (1 + e^-2x) */
static inline vf32 hyperbolic_tangent(vf32 x)
{
    const fraction e = exp_minus(vf32_add(x, x));
    return vf32_div(vf32_sub(e.divisor, e.dividend), vf32_add(e.divisor, e.dividend));
}

static inline vf32 elu(vf32 x)
{
    const vf32 negative = vf32_min(x, constant(0));
    return vf32_add(positive_part(x), vf32_sub(power(vf32_sub(constant(0), negative)), constant(1)));
}

/* log(1 + e^x) = max(x, 0) + log(1 + u), u = e^-|x|. With s = u / (2 + u), at most a third,
 * log(1 + u) = 2 (s + s^3 / 3 + s^5 / 5 + ...): the first term left out is below 2^-26. */
static inline vf32 softplus(vf32 x)
{
    const vf32 u = power(magnitude(x)), s = vf32_div(u, vf32_add(constant(2), u)), square = vf32_mul(s, s);
    vf32 sum = constant(2.0f / 13);
    for (int term = 11; term >= 1; term -= 2) sum = vf32_madd(constant(2.0f / (float)term), sum, square);
    return vf32_madd(positive_part(x), sum, s);
}

/* x tanh(log(1 + e^x)) = x m / (m + 2), m = e^x (e^x + 2). From 20 on m is all that counts. */
static inline vf32 mish(vf32 x)
{
    const vf32 e = power(vf32_sub(constant(0), vf32_min(x, constant(20))));
    const vf32 m = vf32_mul(e, vf32_add(e, constant(2)));
    return vf32_mul(x, vf32_div(m, vf32_add(m, constant(2))));
}

/* 1 - erf(z) for z >= 0, within 1.5e-7: Abramowitz and Stegun, 7.1.26. */
static inline vf32 complementary_error(vf32 z)
{
    const vf32 t = vf32_div(constant(1), vf32_madd(constant(1), z, constant(0.3275911f)));
    vf32 sum = vf32_madd(constant(-1.453152027f), t, constant(1.061405429f));
    sum = vf32_madd(constant(1.421413741f), t, sum);
    sum = vf32_madd(constant(-0.284496736f), t, sum);
    sum = vf32_madd(constant(0.254829592f), t, sum);
    z = vf32_min(z, constant(10)); /* its square stays finite */
    return vf32_mul(vf32_mul(sum, t), power(vf32_mul(z, z)));
}

/* The sign of x times erf |x|; a product that is cut to -1 or 1 is that sign. */
static inline vf32 error_function(vf32 x)
{
    const vf32 sign = vf32_clamp(vf32_mul(x, constant(1e30f)), constant(-1), constant(1));
    return vf32_mul(sign, vf32_sub(constant(1), complementary_error(magnitude(x))));
}

/* x (1 + erf(x / sqrt 2)) / 2 = max(x, 0) - |x| (1 - erf(|x| / sqrt 2)) / 2 */
static inline vf32 gelu(vf32 x)
{
    const vf32 size = magnitude(x), tail = complementary_error(vf32_mul(size, constant(0.70710678f)));
    return vf32_madd(positive_part(x), vf32_mul(size, constant(-0.5f)), tail);
}

/* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2; a tanh is a sigmoid of the double. */
static inline vf32 gelu_tanh(vf32 x)
{
    const vf32 near = vf32_clamp(x, constant(-30), constant(30)); /* its cube stays finite */
    const vf32 square = vf32_mul(near, near);
    const vf32 factor = vf32_madd(constant(1.5957691f), square, constant(0.071354814f));
    return vf32_mul(x, logistic(vf32_mul(near, factor)));
}

__attribute__((always_inline)) static inline void apply(const goss_activation_f32_args *a, vf32 (*f)(vf32))
{
    assert(a->count % VF32_LANES == 0);
    const float *x = a->x;
    float *y = a->y;
    for (size_t row = 0; row < a->rows; row++, x += a->stride, y += a->stride)
        for (size_t i = 0; i < a->count; i += VF32_LANES) vf32_store(y + i, f(vf32_load(x + i)));
}

void GOSS_KERNEL(hard_swish_f32)(const goss_activation_f32_args *a) { apply(a, hard_swish); }
void GOSS_KERNEL(tanh_f32)(const goss_activation_f32_args *a) { apply(a, hyperbolic_tangent); }
void GOSS_KERNEL(elu_f32)(const goss_activation_f32_args *a) { apply(a, elu); }
void GOSS_KERNEL(softplus_f32)(const goss_activation_f32_args *a) { apply(a, softplus); }
void GOSS_KERNEL(mish_f32)(const goss_activation_f32_args *a) { apply(a, mish); }
void GOSS_KERNEL(erf_f32)(const goss_activation_f32_args *a) { apply(a, error_function); }
void GOSS_KERNEL(gelu_f32)(const goss_activation_f32_args *a) { apply(a, gelu); }
void GOSS_KERNEL(gelu_tanh_f32)(const goss_activation_f32_args *a) { apply(a, gelu_tanh); }

void GOSS_KERNEL(leaky_relu_f32)(const goss_leaky_relu_f32_args *a)
{
    assert(a->count % VF32_LANES == 0);
    const vf32 slope = vf32_splat(a->slope);
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const vf32 x = vf32_load(a->x + i);
        vf32_store(a->y + i, vf32_madd(positive_part(x), vf32_min(x, constant(0)), slope));
    }
}
