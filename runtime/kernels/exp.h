/* The exponential over the vector layer. */
#ifndef GOSS_EXP_H
#define GOSS_EXP_H

#include "vector.h"

/* dividend / divisor, the divisor in [1.6, 2.4]. Left undivided: a sigmoid divides anyway. */
typedef struct fraction {
    vf32 dividend, divisor;
} fraction;

/* An exponent -x = n ln 2 - r, |r| <= ln 2 / 2. */
typedef struct reduced_exponent {
    vf32 rounded; /* VF32_ROUND + n */
    vf32 r;
} reduced_exponent;

/* Below -87 the result is that of -87, above 87 that of 87. ln 2 in two parts keeps r exact. */
static inline reduced_exponent exp_reduce(vf32 x)
{
    const vf32 round = vf32_splat(VF32_ROUND);
    x = vf32_clamp(x, vf32_splat(-87.0f), vf32_splat(87.0f));
    const vf32 rounded = vf32_madd(round, x, vf32_splat(-1.44269504f)), n = vf32_sub(rounded, round);
    const vf32 r = vf32_madd(x, n, vf32_splat(0.693359375f));
    return (reduced_exponent){rounded, vf32_madd(r, n, vf32_splat(-2.12194440e-4f))};
}

/* With d = r coth(r / 2), an even function, e^-r = (d - r) / (d + r). The polynomial for d has the smallest error that
 * degree 2 in r^2 can have: 2^-31 of e^-r. */
static inline fraction exp_of_reduced(reduced_exponent exponent)
{
    const vf32 r = exponent.r, square = vf32_mul(r, r);
    vf32 d = vf32_madd(vf32_splat(0.16666584f), square, vf32_splat(-2.7639476e-3f));
    d = vf32_madd(vf32_splat(2.0f), square, d);
    return (fraction){vf32_scale2(vf32_sub(d, r), exponent.rounded), vf32_add(d, r)};
}

/* e^-x within 3 ulp, divided; at most 6e37 (from x = -87 down), at least 1.6e-38 (from 87 up). */
static inline fraction exp_minus(vf32 x) { return exp_of_reduced(exp_reduce(x)); }

#endif
