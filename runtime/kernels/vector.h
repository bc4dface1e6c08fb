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
 * Operations whose cost differs widely between instruction sets (gather, division of integers) stay out. */
#ifndef GOSS_VECTOR_H
#define GOSS_VECTOR_H

#include <stddef.h>
#include <stdint.h>

/* 1.5 * 2^23: a float below 2^22 added to it leaves its nearest whole number in the lowest bits, and no fraction. */
#define VF32_ROUND 12582912.0f

#include GOSS_VECTOR_HEADER

_Static_assert(VF32_LANES == 4 || VF32_LANES == 8 || VF32_LANES == 16, "a kernel's tiles assume this");

/* Vectors of results that a tile of `rows` rows keeps in registers: half of the registers, the others are for operands;
 * more than 8 in a row share nothing more. */
#define GOSS_TILE_VECTORS(rows) (VF32_REGISTERS / 2 / (rows) < 8 ? VF32_REGISTERS / 2 / (rows) : 8)

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
