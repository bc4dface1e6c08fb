/* The exponential over the vector layer. */
#ifndef GOSS_EXP_H
#define GOSS_EXP_H

#include "vector.h"

/* e^x within 3 ulp; below -87 the result is that of -87 (1.6e-38), above 87 that of 87 (6e37).
 * x = n ln 2 + r with |r| <= ln 2 / 2, e^x = 2^n e^r; ln 2 in two parts keeps r exact. The polynomial has the smallest
 * relative error that degree 5 can have on that interval, 1.6 * 2^-24. */
static inline vf32 exp_within_87(vf32 x)
{
    const vf32 round = vf32_splat(12582912.0f); /* 1.5 * 2^23: adding it leaves no room for a fraction */
    x = vf32_clamp(x, vf32_splat(-87.0f), vf32_splat(87.0f));
    const vf32 n = vf32_sub(vf32_madd(round, x, vf32_splat(1.44269504f)), round);
    vf32 r = vf32_madd(x, n, vf32_splat(-0.693359375f));
    r = vf32_madd(r, n, vf32_splat(2.12194440e-4f));

    vf32 e = vf32_madd(vf32_splat(4.189816e-2f), r, vf32_splat(8.290272e-3f));
    e = vf32_madd(vf32_splat(1.6667639e-1f), e, r);
    e = vf32_madd(vf32_splat(4.9999148e-1f), e, r);
    e = vf32_madd(vf32_splat(9.999997e-1f), e, r);
    e = vf32_madd(vf32_splat(1.0f), e, r);
    return vf32_mul(e, vf32_exp2(n));
}

#endif
