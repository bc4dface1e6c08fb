/* The vector layer in GCC and Clang vector types: SSE2 on x86-64, and the floor on every other machine. */
#ifndef GOSS_VECTOR_GENERIC_H
#define GOSS_VECTOR_GENERIC_H

#include <stdint.h>
#include <string.h>

#define GOSS_ISA generic

enum { VF32_LANES = 4, VF32_REGISTERS = 16 };
typedef float vf32 __attribute__((vector_size(16)));
typedef int32_t vi32_ __attribute__((vector_size(16)));
typedef uint32_t vu32_ __attribute__((vector_size(16)));

static inline vf32 vf32_load(const float *p)
{
    vf32 v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vf32_store(float *p, vf32 v) { memcpy(p, &v, sizeof v); }
static inline vf32 vf32_splat(float s) { return (vf32){s, s, s, s}; }
static inline vf32 vf32_add(vf32 a, vf32 b) { return a + b; }
static inline vf32 vf32_sub(vf32 a, vf32 b) { return a - b; }
static inline vf32 vf32_mul(vf32 a, vf32 b) { return a * b; }
static inline vf32 vf32_madd(vf32 acc, vf32 a, vf32 b) { return acc + a * b; }

static inline vf32 vf32_select_(vi32_ mask, vf32 a, vf32 b) { return (vf32)((mask & (vi32_)a) | (~mask & (vi32_)b)); }
static inline vf32 vf32_min(vf32 a, vf32 b) { return vf32_select_(a < b, a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return vf32_select_(a > b, a, b); }
static inline vf32 vf32_div(vf32 a, vf32 b) { return a / b; }
static inline vf32 vf32_and(vf32 a, vf32 b) { return (vf32)((vi32_)a & (vi32_)b); }
static inline vf32 vf32_first(vf32 v, size_t n, vf32 fill)
{
    const int32_t count = (int32_t)n;
    const vi32_ lane = {0, 1, 2, 3};
    return vf32_select_(lane < (vi32_){count, count, count, count}, v, fill);
}
static inline vf32 vf32_even(vf32 a, vf32 b) { return (vf32){a[0], a[2], b[0], b[2]}; }
static inline vf32 vf32_odd(vf32 a, vf32 b) { return (vf32){a[1], a[3], b[1], b[3]}; }
static inline vf32 vf32_scale2(vf32 v, vf32 n) { return (vf32)((vu32_)v + ((vu32_)n << 23)); }
static inline float vf32_sum(vf32 v) { return (v[0] + v[1]) + (v[2] + v[3]); }
static inline float vf32_largest(vf32 v)
{
    const float low = v[0] > v[1] ? v[0] : v[1], high = v[2] > v[3] ? v[2] : v[3];
    return low > high ? low : high;
}

typedef vi32_ vi32;
typedef uint8_t vu8_ __attribute__((vector_size(16)));
typedef uint16_t vu16_ __attribute__((vector_size(16)));
typedef int16_t vi16_ __attribute__((vector_size(16)));

static inline vi32 vi32_load(const void *p)
{
    vi32 v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vi32_store(void *p, vi32 v) { memcpy(p, &v, sizeof v); }
static inline vi32 vi32_splat(int32_t s) { return (vi32){s, s, s, s}; }
static inline vi32 vi32_repeat(const void *p) { return vi32_load(p); }
static inline vi32 vi32_add(vi32 a, vi32 b) { return (vi32)((vu32_)a + (vu32_)b); }
static inline vi32 vi32_sub(vi32 a, vi32 b) { return (vi32)((vu32_)a - (vu32_)b); }
static inline vf32 vi32_to_f32(vi32 v) { return __builtin_convertvector(v, vf32); }
static inline vi32 vi32_round(vf32 v)
{
    const vf32 round = vf32_splat(VF32_ROUND); /* what it leaves lies behind its own bits */
    return vi32_sub((vi32)(v + round), (vi32)round);
}
static inline uint8_t vi32_saturate_(int32_t i) { return (uint8_t)(i < -128 ? -128 : i > 127 ? 127 : i); }
static inline vi32 vi32_narrow(vi32 a, vi32 b, vi32 c, vi32 d)
{
    uint8_t bytes[16];
    for (int i = 0; i < 4; i++) {
        bytes[i] = vi32_saturate_(a[i]);
        bytes[4 + i] = vi32_saturate_(b[i]);
        bytes[8 + i] = vi32_saturate_(c[i]);
        bytes[12 + i] = vi32_saturate_(d[i]);
    }
    return vi32_load(bytes);
}
static inline vi32 vi32_widen(vi32 v, int k)
{
    const vu8_ bytes = (vu8_)v;
    return (vi32){bytes[4 * k], bytes[4 * k + 1], bytes[4 * k + 2], bytes[4 * k + 3]};
}
static inline vi32 vi8_add(vi32 a, vi32 b) { return (vi32)((vu8_)a + (vu8_)b); }
static inline vi32 vi8_max(vi32 a, vi32 b)
{
    const vi32 larger = (vi32)((vu8_)a > (vu8_)b);
    return (larger & a) | (~larger & b);
}
static inline vi32 vi8_transpose(vi32 v)
{
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++) bytes[i] = ((vu8_)v)[i % 4 * 4 + i / 4];
    return vi32_load(bytes);
}
static inline void vi8_interleave(vi32 v[4])
{
    uint8_t bytes[64];
    for (int i = 0; i < 64; i++) bytes[i] = ((vu8_)v[i % 4])[i / 4];
    for (int i = 0; i < 4; i++) v[i] = vi32_load(bytes + 16 * i);
}
static inline vi32 vi8_spread(const uint8_t *const *p)
{
    int32_t quad;
    memcpy(&quad, p[0], sizeof quad);
    return vi32_splat(quad);
}
static inline vi32 vi8_pick(const uint8_t *table, vi32 v)
{
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++) bytes[i] = ((vu8_)v)[i] < 16 ? table[((vu8_)v)[i]] : 0;
    return vi32_load(bytes);
}

/* Even and odd bytes as numbers of 16 bits: each half of a lane sums a product of both. */
enum { GOSS_DOT_REGISTERS = 1 };
typedef vi32 vdot, vdot_x, vdot_w;
static inline vdot vdot_from(int32_t s) { return vi32_splat(s); }
static inline vdot_x vdot_bytes(vi32 v) { return v; }
static inline vdot_w vdot_weights(vi32 v) { return v; }
static inline vdot_w vdot_splat(const int8_t *p)
{
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return vi32_splat(quad);
}
static inline vdot vdot_add(vdot acc, vdot_x x, vdot_w w)
{
    const vi16_ even = (vi16_)((vu16_)x & 0xFF) * ((vi16_)((vu16_)w << 8) >> 8);
    const vi16_ odd = (vi16_)((vu16_)x >> 8) * ((vi16_)w >> 8);
    const vi32 pairs = (vi32)(even + odd); /* 2 * 127 * 127 is the most */
    return vi32_add(acc, ((vi32)((vu32_)pairs << 16) >> 16) + (pairs >> 16));
}
static inline vi32 vdot_sum(vdot acc) { return acc; }

#endif
