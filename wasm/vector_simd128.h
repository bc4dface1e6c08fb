/* The vector layer for WebAssembly's fixed SIMD. vector_relaxed.h replaces what relaxed SIMD does better. */
#ifndef GOSS_VECTOR_SIMD128_H
#define GOSS_VECTOR_SIMD128_H

#include <stddef.h>
#include <wasm_simd128.h>

#ifndef GOSS_ISA
#define GOSS_ISA wasm_simd
#endif

enum { VF32_LANES = 4, VF32_REGISTERS = 16 };
typedef v128_t vf32;

static inline vf32 vf32_load(const float *p) { return wasm_v128_load(p); }
static inline void vf32_store(float *p, vf32 v) { wasm_v128_store(p, v); }
static inline vf32 vf32_splat(float s) { return wasm_f32x4_splat(s); }
static inline vf32 vf32_add(vf32 a, vf32 b) { return wasm_f32x4_add(a, b); }
static inline vf32 vf32_sub(vf32 a, vf32 b) { return wasm_f32x4_sub(a, b); }
static inline vf32 vf32_mul(vf32 a, vf32 b) { return wasm_f32x4_mul(a, b); }
static inline vf32 vf32_div(vf32 a, vf32 b) { return wasm_f32x4_div(a, b); }
static inline vf32 vf32_and(vf32 a, vf32 b) { return wasm_v128_and(a, b); }
static inline vf32 vf32_first(vf32 v, size_t n, vf32 fill)
{
    return wasm_v128_bitselect(v, fill, wasm_u32x4_lt(wasm_u32x4_const(0, 1, 2, 3), wasm_u32x4_splat((uint32_t)n)));
}
static inline vf32 vf32_even(vf32 a, vf32 b) { return wasm_i32x4_shuffle(a, b, 0, 2, 4, 6); }
static inline vf32 vf32_odd(vf32 a, vf32 b) { return wasm_i32x4_shuffle(a, b, 1, 3, 5, 7); }
static inline vf32 vf32_scale2(vf32 v, vf32 n) { return wasm_i32x4_add(v, wasm_i32x4_shl(n, 23)); }
static inline float vf32_sum(vf32 v)
{
    return (wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1)) +
           (wasm_f32x4_extract_lane(v, 2) + wasm_f32x4_extract_lane(v, 3));
}
static inline float vf32_largest(vf32 v)
{
    v = wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
    v = wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 1, 0, 3, 2));
    return wasm_f32x4_extract_lane(v, 0);
}

#ifndef GOSS_RELAXED_SIMD
static inline vf32 vf32_madd(vf32 acc, vf32 a, vf32 b) { return wasm_f32x4_add(acc, wasm_f32x4_mul(a, b)); }
/* pmin and pmax are one x86 instruction each; min and max, which propagate NaN, are several. */
static inline vf32 vf32_min(vf32 a, vf32 b) { return wasm_f32x4_pmin(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return wasm_f32x4_pmax(a, b); }
#endif

#endif
