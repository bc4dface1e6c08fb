/* From exact sums to numbers from 0 to 127: FORMAT.md section 9. Each step rounds once, so that all instruction sets
 * agree to the bit; nothing here may be fused. */
#ifndef GOSS_REQUANTIZE_H
#define GOSS_REQUANTIZE_H

#include "round_i8.h"
#include "vector.h"

/* A target in every lane. */
typedef struct targets {
    vf32 low, high;
    vi32 zero_point; /* in every byte */
} targets;

static inline targets targets_of(goss_target_i8 target)
{
    return (targets){vf32_splat(target.low), vf32_splat(target.high), vi32_splat(target.zero_point * 0x01010101)};
}

/* The four vectors that make a vector of bytes, in vi32_narrow()'s order. */
static inline vi32 round_vectors(const vf32 v[4], const targets *t)
{
    vi32 whole[4];
    for (int i = 0; i < 4; i++) whole[i] = vi32_round(vf32_clamp(v[i], t->low, t->high));
    return vi8_add(vi32_narrow(whole[0], whole[1], whole[2], whole[3]), t->zero_point);
}

/* What those of a vector of bytes stand for, but for the scale: f32(q - zero_point) of operand k. */
static inline vf32 offset_vector(vi32 bytes, int k, vi32 zero_point)
{
    return vi32_to_f32(vi32_sub(vi32_widen(bytes, k), zero_point));
}

#endif
