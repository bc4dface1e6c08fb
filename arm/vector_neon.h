/* The vector layer for NEON on 64-bit ARM (armv8-a, no extensions). */
#ifndef GOSS_VECTOR_NEON_H
#define GOSS_VECTOR_NEON_H

#include <arm_neon.h>

#define GOSS_ISA neon

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

#endif
