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

typedef v128_t vi32;

static inline vi32 vi32_load(const void *p) { return wasm_v128_load(p); }
static inline void vi32_store(void *p, vi32 v) { wasm_v128_store(p, v); }
static inline vi32 vi32_splat(int32_t s) { return wasm_i32x4_splat(s); }
static inline vi32 vi32_repeat(const void *p) { return wasm_v128_load(p); }
static inline vi32 vi32_add(vi32 a, vi32 b) { return wasm_i32x4_add(a, b); }
static inline vi32 vi32_sub(vi32 a, vi32 b) { return wasm_i32x4_sub(a, b); }
static inline vf32 vi32_to_f32(vi32 v) { return wasm_f32x4_convert_i32x4(v); }
static inline vi32 vi32_round(vf32 v)
{
    const vf32 round = wasm_f32x4_splat(VF32_ROUND); /* what it leaves lies behind its own bits */
    return wasm_i32x4_sub(wasm_f32x4_add(v, round), round);
}
static inline vi32 vi32_narrow(vi32 a, vi32 b, vi32 c, vi32 d)
{
    return wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_narrow_i32x4(c, d));
}
static inline vi32 vi32_widen(vi32 v, int k)
{
    const v128_t half = k < 2 ? wasm_u16x8_extend_low_u8x16(v) : wasm_u16x8_extend_high_u8x16(v);
    return k % 2 ? wasm_u32x4_extend_high_u16x8(half) : wasm_u32x4_extend_low_u16x8(half);
}
static inline vi32 vi8_add(vi32 a, vi32 b) { return wasm_i8x16_add(a, b); }
static inline vi32 vi8_max(vi32 a, vi32 b) { return wasm_u8x16_max(a, b); }
static inline vi32 vi8_transpose(vi32 v)
{
    return wasm_i8x16_shuffle(v, v, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}
static inline void vi8_interleave(vi32 v[4])
{
    const v128_t a = wasm_i8x16_shuffle(v[0], v[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const v128_t b = wasm_i8x16_shuffle(v[0], v[1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const v128_t c = wasm_i8x16_shuffle(v[2], v[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const v128_t d = wasm_i8x16_shuffle(v[2], v[3], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    v[0] = wasm_i16x8_shuffle(a, c, 0, 8, 1, 9, 2, 10, 3, 11);
    v[1] = wasm_i16x8_shuffle(a, c, 4, 12, 5, 13, 6, 14, 7, 15);
    v[2] = wasm_i16x8_shuffle(b, d, 0, 8, 1, 9, 2, 10, 3, 11);
    v[3] = wasm_i16x8_shuffle(b, d, 4, 12, 5, 13, 6, 14, 7, 15);
}
static inline vi32 vi8_spread(const uint8_t *const *p) { return wasm_v128_load32_splat(p[0]); }
static inline vi32 vi8_pick(const uint8_t *table, vi32 v) { return wasm_i8x16_swizzle(wasm_v128_load(table), v); }

#ifndef GOSS_RELAXED_SIMD
static inline vf32 vf32_madd(vf32 acc, vf32 a, vf32 b) { return wasm_f32x4_add(acc, wasm_f32x4_mul(a, b)); }
/* pmin and pmax are one x86 instruction each; min and max, which propagate NaN, are several. */
static inline vf32 vf32_min(vf32 a, vf32 b) { return wasm_f32x4_pmin(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return wasm_f32x4_pmax(a, b); }

/* Products of 16 bits, in pairs: of a quad, half is summed here and the rest in the end. */
enum { GOSS_DOT_REGISTERS = 2 };
typedef struct vdot {
    v128_t low, high;
} vdot;
typedef vdot vdot_x;
typedef vdot vdot_w;
static inline vdot vdot_from(int32_t s) /* in the first lane of each pair */
{
    const v128_t pairs = wasm_v128_and(wasm_i32x4_splat(s), wasm_i32x4_const(-1, 0, -1, 0));
    return (vdot){pairs, pairs};
}
static inline vdot_x vdot_bytes(vi32 v)
{
    return (vdot_x){wasm_i16x8_extend_low_i8x16(v), wasm_i16x8_extend_high_i8x16(v)};
}
static inline vdot_w vdot_weights(vi32 v) { return vdot_bytes(v); }
static inline vdot_w vdot_splat(const int8_t *p)
{
    const v128_t quads = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(p));
    return (vdot_w){quads, quads};
}

/* One instruction loads and widens. To widen what is loaded already takes browsers up to three. */
#define GOSS_DOT_LOADS
static inline vdot_x vdot_load(const void *p)
{
    return (vdot_x){wasm_i16x8_load8x8(p), wasm_i16x8_load8x8((const int8_t *)p + 8)};
}
typedef vdot vdot_block;
static inline vdot_block vdot_load_block(const int8_t *p) { return vdot_load(p); }
static inline vdot_w vdot_row(vdot_block block, int r)
{
    const v128_t pair = r < 2 ? block.low : block.high;
    const v128_t row = r % 2 ? wasm_i64x2_shuffle(pair, pair, 1, 1) : wasm_i64x2_shuffle(pair, pair, 0, 0);
    return (vdot_w){row, row};
}

static inline vdot vdot_add(vdot acc, vdot_x x, vdot_w w)
{
    return (vdot){wasm_i32x4_add(acc.low, wasm_i32x4_dot_i16x8(x.low, w.low)),
                  wasm_i32x4_add(acc.high, wasm_i32x4_dot_i16x8(x.high, w.high))};
}
static inline vi32 vdot_sum(vdot acc)
{
    return wasm_i32x4_add(wasm_i32x4_shuffle(acc.low, acc.high, 0, 2, 4, 6),
                          wasm_i32x4_shuffle(acc.low, acc.high, 1, 3, 5, 7));
}
#endif

#endif
