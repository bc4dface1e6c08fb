/* The vector layer for NEON on 64-bit ARM (armv8-a, no extensions; vector_neon_dotprod.h adds one). */
#ifndef GOSS_VECTOR_NEON_H
#define GOSS_VECTOR_NEON_H

#include <arm_neon.h>
#include <string.h>

#ifndef GOSS_ISA
#define GOSS_ISA neon
#endif

enum { VF32_LANES = 4, VF32_REGISTERS = 32 };
typedef float32x4_t vf32;

static inline vf32 vf32_load(const float *p) { return vld1q_f32(p); }
static inline void vf32_store(float *p, vf32 v) { vst1q_f32(p, v); }
static inline vf32 vf32_splat(float s) { return vdupq_n_f32(s); }
static inline vf32 vf32_add(vf32 a, vf32 b) { return vaddq_f32(a, b); }
static inline vf32 vf32_sub(vf32 a, vf32 b) { return vsubq_f32(a, b); }
static inline vf32 vf32_mul(vf32 a, vf32 b) { return vmulq_f32(a, b); }
static inline vf32 vf32_madd(vf32 acc, vf32 a, vf32 b) { return vfmaq_f32(acc, a, b); }
static inline vf32 vf32_min(vf32 a, vf32 b) { return vminq_f32(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return vmaxq_f32(a, b); }
static inline vf32 vf32_div(vf32 a, vf32 b) { return vdivq_f32(a, b); }
static inline vf32 vf32_and(vf32 a, vf32 b)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}
static inline vf32 vf32_first(vf32 v, size_t n, vf32 fill)
{
    static const uint32_t lane[VF32_LANES] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_u32(vld1q_u32(lane), vdupq_n_u32((uint32_t)n)), v, fill);
}
static inline vf32 vf32_even(vf32 a, vf32 b) { return vuzp1q_f32(a, b); }
static inline vf32 vf32_odd(vf32 a, vf32 b) { return vuzp2q_f32(a, b); }
static inline vf32 vf32_scale2(vf32 v, vf32 n)
{
    const uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(n), 23);
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(v), exponent));
}
static inline float vf32_sum(vf32 v) { return vaddvq_f32(v); }
static inline float vf32_largest(vf32 v) { return vmaxvq_f32(v); }

typedef int32x4_t vi32;

static inline int8x16_t vi8_(vi32 v) { return vreinterpretq_s8_s32(v); }
static inline vi32 vi8_as_(int8x16_t v) { return vreinterpretq_s32_s8(v); }
static inline vi32 vi32_load(const void *p) { return vi8_as_(vld1q_s8(p)); }
static inline void vi32_store(void *p, vi32 v) { vst1q_s8(p, vi8_(v)); }
static inline vi32 vi32_splat(int32_t s) { return vdupq_n_s32(s); }
static inline vi32 vi32_repeat(const void *p) { return vi32_load(p); }
static inline vi32 vi32_add(vi32 a, vi32 b) { return vaddq_s32(a, b); }
static inline vi32 vi32_sub(vi32 a, vi32 b) { return vsubq_s32(a, b); }
static inline vf32 vi32_to_f32(vi32 v) { return vcvtq_f32_s32(v); }
static inline vi32 vi32_round(vf32 v) { return vcvtnq_s32_f32(v); }
static inline vi32 vi32_narrow(vi32 a, vi32 b, vi32 c, vi32 d)
{
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(a), b), high = vqmovn_high_s32(vqmovn_s32(c), d);
    return vi8_as_(vqmovn_high_s16(vqmovn_s16(low), high));
}
static inline vi32 vi32_widen(vi32 v, int k)
{
    const int16x8_t half = k < 2 ? vmovl_s8(vget_low_s8(vi8_(v))) : vmovl_high_s8(vi8_(v));
    return k % 2 ? vmovl_high_s16(half) : vmovl_s16(vget_low_s16(half));
}
static inline vi32 vi8_add(vi32 a, vi32 b) { return vi8_as_(vaddq_s8(vi8_(a), vi8_(b))); }
static inline vi32 vi8_max(vi32 a, vi32 b) { return vi8_as_(vmaxq_s8(vi8_(a), vi8_(b))); }
static inline vi32 vi8_transpose(vi32 v)
{
    static const int8_t place[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    return vi8_as_(vqtbl1q_s8(vi8_(v), vreinterpretq_u8_s8(vld1q_s8(place))));
}
static inline void vi8_interleave(vi32 v[4])
{
    const int8x16x2_t ab = vzipq_s8(vi8_(v[0]), vi8_(v[1])), cd = vzipq_s8(vi8_(v[2]), vi8_(v[3]));
    for (int i = 0; i < 2; i++) {
        const int16x8x2_t quads = vzipq_s16(vreinterpretq_s16_s8(ab.val[i]), vreinterpretq_s16_s8(cd.val[i]));
        v[2 * i] = vreinterpretq_s32_s16(quads.val[0]);
        v[2 * i + 1] = vreinterpretq_s32_s16(quads.val[1]);
    }
}
static inline int32_t vi8_quad_(const void *p)
{
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return quad;
}
static inline vi32 vi8_spread(const uint8_t *const *p) { return vdupq_n_s32(vi8_quad_(p[0])); }
static inline vi32 vi8_pick(const uint8_t *table, vi32 v)
{
    return vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(table), vreinterpretq_u8_s32(v)));
}

#ifdef GOSS_NEON_DOTPROD
enum { GOSS_DOT_REGISTERS = 1 };
typedef vi32 vdot;
static inline vdot vdot_from(int32_t s) { return vi32_splat(s); }
static inline vdot vdot_add(vdot acc, vi32 x, vi32 w) { return vdotq_s32(acc, vi8_(x), vi8_(w)); }
static inline vi32 vdot_sum(vdot acc) { return acc; }
#else
/* Products of 16 bits; sums of two neighbours in 32: of a quad, half is summed here and the rest in the end. */
enum { GOSS_DOT_REGISTERS = 2 };
typedef struct vdot {
    int32x4_t low, high;
} vdot;
static inline vdot vdot_from(int32_t s) /* in the first lane of each pair */
{
    const vi32 pairs = vreinterpretq_s32_u64(vdupq_n_u64((uint32_t)s));
    return (vdot){pairs, pairs};
}
static inline vdot vdot_add(vdot acc, vi32 x, vi32 w)
{
    return (vdot){vpadalq_s16(acc.low, vmull_s8(vget_low_s8(vi8_(x)), vget_low_s8(vi8_(w)))),
                  vpadalq_s16(acc.high, vmull_high_s8(vi8_(x), vi8_(w)))};
}
static inline vi32 vdot_sum(vdot acc) { return vpaddq_s32(acc.low, acc.high); }
#endif
typedef vi32 vdot_x, vdot_w;
static inline vdot_x vdot_bytes(vi32 v) { return v; }
static inline vdot_w vdot_weights(vi32 v) { return v; }
static inline vdot_w vdot_splat(const int8_t *p) { return vdupq_n_s32(vi8_quad_(p)); }

#endif
