/* Functions of one number, f32, element by element. Runs over the padding as well. Those that compilers turn into
 * instructions of their own are plain loops. */
#include <assert.h>
#include <math.h>
#include <string.h>

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

/* What share of a turn a finite x >= 1/2 is beyond whole ones, in units of 2^-64: its mantissa times those 96 bits of
 * 1 / (2 pi) that matter (Payne and Hanek, 1983). C's own is as exact and ten times the size. */
static uint64_t share_of_turn(float x)
{
    static const uint32_t table[] = {0,          0x28be60db, 0x9391054a, 0x7f09d5f4, /* 1 / (2 pi) behind 32 zeros */
                                     0x7d4d3770, 0x36d8a566, 0x4f10e410, 0x7f9458ea};
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint64_t mantissa = (bits & 0x7fffff) | 0x800000;
    const uint32_t first = (bits >> 23) + 32 - (127 + 23), shift = first % 32; /* the bits before it give whole turns */
    uint64_t window[3];
    for (int i = 0; i < 3; i++) {
        const uint32_t *words = table + first / 32 + i;
        window[i] = (uint32_t)(((uint64_t)words[0] << 32 | words[1]) << shift >> 32);
    }
    return (mantissa * window[0] << 32) + mantissa * window[1] + (mantissa * window[2] >> 32);
}

/* The sine of x and so many right angles. */
static float sine_from(float x, unsigned right_angles)
{
    double angle = x;
    if (!(fabsf(x) < 0.5f)) {
        if (!isfinite(x)) return NAN;
        const uint64_t turn = x < 0 ? 0 - share_of_turn(-x) : share_of_turn(x);
        const uint64_t nearest = (turn + (UINT64_C(1) << 61)) >> 62;
        angle = (double)(int64_t)(turn - (nearest << 62)) * 0x1.921fb54442d18p-62; /* 2 pi / 2^64 */
        right_angles += (unsigned)nearest;
    }
    const double s = angle * angle; /* the series, up to what f32 cannot tell from 0 */
    const double y = right_angles % 2
                         ? 1 + s * (-1. / 2 + s * (1. / 24 + s * (-1. / 720 + s * (1. / 40320 - s / 3628800))))
                         : angle * (1 + s * (-1. / 6 + s * (1. / 120 + s * (-1. / 5040 + s / 362880))));
    return (float)(right_angles & 2 ? -y : y);
}

static inline float sine(float x) { return sine_from(x, 0); }
static inline float cosine(float x) { return sine_from(x, 1); }
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
UNARY(sin, sine)
UNARY(cos, cosine)
