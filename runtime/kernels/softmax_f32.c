/* Softmax of one row, f32. */
#include <assert.h>
#include <math.h>

#include "kernels.h"
#include "vector.h"

/* e^x for x <= 0, within 2 ulp; below -87 the result is that of -87 (1.6e-38).
 * x = n ln 2 + r with |r| <= ln 2 / 2, e^x = 2^n e^r; ln 2 in two parts keeps r exact, e^r is its Taylor polynomial of
 * degree 7, whose remainder is below 2^-26. */
static inline vf32 exp_nonpositive(vf32 x)
{
    const vf32 round = vf32_splat(12582912.0f); /* 1.5 * 2^23: adding it leaves no room for a fraction */
    x = vf32_max(x, vf32_splat(-87.0f));
    const vf32 n = vf32_sub(vf32_add(vf32_mul(x, vf32_splat(1.44269504f)), round), round);
    vf32 r = vf32_sub(x, vf32_mul(n, vf32_splat(0.693359375f)));
    r = vf32_sub(r, vf32_mul(n, vf32_splat(-2.12194440e-4f)));

    vf32 e = vf32_splat(1.0f / 5040);
    e = vf32_madd(vf32_splat(1.0f / 720), e, r);
    e = vf32_madd(vf32_splat(1.0f / 120), e, r);
    e = vf32_madd(vf32_splat(1.0f / 24), e, r);
    e = vf32_madd(vf32_splat(1.0f / 6), e, r);
    e = vf32_madd(vf32_splat(0.5f), e, r);
    e = vf32_madd(vf32_splat(1.0f), e, r);
    e = vf32_madd(vf32_splat(1.0f), e, r);
    return vf32_mul(e, vf32_exp2(n));
}

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
        const vf32 e = vf32_first(exp_nonpositive(vf32_sub(vf32_load(a->x + i), shift)), valid, zero);
        sum = vf32_add(sum, e);
        vf32_store(a->y + i, e);
    }
    const vf32 scale = vf32_splat(1.0f / vf32_sum(sum));
    for (size_t i = 0; i < a->count; i += VF32_LANES) vf32_store(a->y + i, vf32_mul(vf32_load(a->y + i), scale));
}
