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

#endif
