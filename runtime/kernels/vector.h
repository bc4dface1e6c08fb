/* The vector layer: what a kernel may say. Each instruction set answers in one header, chosen at compile time by
 * GOSS_VECTOR_HEADER and included through this one, which also checks that the answer is complete.
 *
 *   vf32                      a vector of VF32_LANES floats; VF32_LANES is 4, 8 or 16
 *   VF32_REGISTERS            how many of them the machine has: 16 or 32
 *   vf32_load(p)              p needs the alignment of a float only
 *   vf32_store(p, v)
 *   vf32_splat(s)
 *   vf32_add(a, b)  vf32_sub(a, b)  vf32_mul(a, b)  vf32_div(a, b)
 *   vf32_madd(acc, a, b)      acc + a * b; rounds once or twice, as is fastest
 *   vf32_min(a, b)  vf32_max(a, b)   any result when a lane is NaN
 *   vf32_and(a, b)            bit by bit
 *   vf32_first(v, n, fill)    lanes below n from v, the others fill; 0 <= n <= VF32_LANES
 *   vf32_even(a, b)           lanes 0, 2, 4, ... of a, then those of b
 *   vf32_odd(a, b)            lanes 1, 3, 5, ... of a, then those of b
 *   vf32_scale2(v, n)         v * 2^n for normal v and product; n is whole and given as VF32_ROUND + n
 *   vf32_sum(v)               sum of the lanes, pairwise
 *   vf32_largest(v)           largest lane
 *
 *   vi32                      as many i32, or 4 * VF32_LANES bytes; a part is 16 of its bytes, 4 lanes
 *   vi32_load(p)  vi32_store(p, v)   p needs no alignment
 *   vi32_splat(s)
 *   vi32_repeat(p)            the 16 bytes at p in every part
 *   vi32_add(a, b)  vi32_sub(a, b)
 *   vi32_to_f32(v)            rounded to nearest, ties to even
 *   vi32_round(v)             nearest whole number of each lane of a vf32, ties to even; |v| < 2^22
 *   vi32_narrow(a, b, c, d)   each part: the 4 lanes of a, then those of b, c and d, as bytes, saturated
 *   vi32_widen(v, k)          what vi32_narrow() took as operand k, of bytes below 128; k is a constant
 *   vi8_add(a, b)  vi8_max(a, b)     byte by byte; the largest of bytes below 128
 *   vi8_transpose(v)          each part: byte 4 i + j goes to 4 j + i
 *   vi8_interleave(v)         each part of the four vectors v[4]: byte i of v[j] goes to 4 i + j of all 64 bytes
 *   vi8_spread(p)             part i: the 4 bytes at p[i], four times; p is an array of VF32_LANES / 4 pointers
 *   vi8_pick(table, v)        the byte of 16 at `table` that a byte of v numbers; 0 where that is not below 16
 *
 *   vdot                      sums of products of bytes, VF32_LANES of them, in GOSS_DOT_REGISTERS registers
 *   vdot_from(s)              sums that begin with s
 *   vdot_add(acc, x, w)       each lane: plus the 4 products of its bytes of x, 0 to 127, and of w, -127 to 127
 *   vdot_sum(acc)             as a vi32
 *   vdot_x, vdot_w            what it takes; vdot_bytes(v), vdot_weights(v) make them of bytes
 *   vdot_splat(p)             the 4 weights at p in every lane
 *   vdot_load(p)              vdot_bytes(vi32_load(p))
 *   vdot_block                16 weights; vdot_load_block(p), vdot_row(block, r) as vdot_splat(p + 4 * r), r constant
 *
 * Operations whose cost differs widely between instruction sets (gather, division of integers) stay out. */
#ifndef GOSS_VECTOR_H
#define GOSS_VECTOR_H

#include <stddef.h>
#include <stdint.h>

/* 1.5 * 2^23: a float below 2^22 added to it leaves its nearest whole number in the lowest bits, and no fraction. */
#define VF32_ROUND 12582912.0f

#include GOSS_VECTOR_HEADER

_Static_assert(VF32_LANES == 4 || VF32_LANES == 8 || VF32_LANES == 16, "a kernel's tiles assume this");

#ifndef GOSS_DOT_LOADS /* where loaded bytes are multiplied as they are */
static inline vdot_x vdot_load(const void *p) { return vdot_bytes(vi32_load(p)); }
typedef const int8_t *vdot_block;
static inline vdot_block vdot_load_block(const int8_t *p) { return p; }
static inline vdot_w vdot_row(vdot_block block, int r) { return vdot_splat(block + 4 * r); }
#endif

/* Vectors of results that a tile of `rows` rows keeps in registers: half of the registers, the others are for operands;
 * more than 8 in a row share nothing more. */
#define GOSS_TILE_VECTORS(rows) (VF32_REGISTERS / 2 / (rows) < 8 ? VF32_REGISTERS / 2 / (rows) : 8)

/* The same of a tile of sums of products of bytes. */
#define GOSS_DOT_VECTORS(rows)                                                                                         \
    (VF32_REGISTERS / 2 / GOSS_DOT_REGISTERS / (rows) < 8 ? VF32_REGISTERS / 2 / GOSS_DOT_REGISTERS / (rows) : 8)

#define GOSS_CONCAT_(a, b) a##b
#define GOSS_CONCAT(a, b)  GOSS_CONCAT_(a, b)

/* The name of a kernel on the instruction set being compiled: GOSS_KERNEL(add_f32) is goss_add_f32_neon. */
#define GOSS_KERNEL(name) GOSS_CONCAT(goss_##name##_, GOSS_ISA)

/* Before a loop that must stay one. WebAssembly has no registers that its compiler could see run out: it gathers the
 * loads of an unrolled loop at its beginning, and the browser spills them. */
#ifdef __wasm__
#define GOSS_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define GOSS_ROLLED
#endif

/* The first n lanes to y; all of them where n is more. */
static inline void vf32_store_first(float *y, vf32 v, size_t n)
{
    if (n >= VF32_LANES) {
        vf32_store(y, v);
        return;
    }
    float lanes[VF32_LANES];
    vf32_store(lanes, v);
    for (size_t i = 0; i < n; i++) y[i] = lanes[i];
}

static inline vf32 vf32_clamp(vf32 v, vf32 min, vf32 max) { return vf32_min(vf32_max(v, min), max); }

#endif
