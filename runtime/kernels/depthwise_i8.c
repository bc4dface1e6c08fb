/* Depthwise convolution of a quad of channels, i8, over a packed plane: stride, dilation and padding are in the
 * packing.
 *
 * A dot product sums 4 bytes. Here these are 4 taps of one channel: the pixels of 4 taps, loaded as quads of channels,
 * are interleaved byte by byte, so that 16 bytes hold 4 channels x 4 taps of one pixel. Taps are padded to groups of 4
 * with weights of zero. */
#include <stdbool.h>
#include <string.h>

#include "requantize.h"

enum { QUAD = 4, STEP = QUAD * VF32_LANES };

/* What belongs to the channels, in every part of a vector. */
typedef struct channels {
    vi32 start;
    vf32 multiplier, bias;
    targets t;
} channels;

static vf32 repeat_floats(const float *quad)
{
    float lanes[VF32_LANES];
    for (size_t i = 0; i < VF32_LANES; i++) lanes[i] = quad[i % QUAD];
    return vf32_load(lanes);
}

/* One vector of pixels. */
__attribute__((always_inline)) static inline void depthwise_tile(const goss_depthwise_i8_args *a, const channels *c,
                                                                 const uint8_t *x, uint8_t *y, size_t groups)
{
    vdot acc[QUAD] = {vdot_zero(), vdot_zero(), vdot_zero(), vdot_zero()};
    for (size_t group = 0; group < groups; group++) {
        vi32 taps[QUAD];
        for (size_t i = 0; i < QUAD; i++) taps[i] = vi32_load(x + a->tap_offset[group * QUAD + i]);
        vi8_interleave(taps);
        const vdot_w weights = vdot_weights(vi32_repeat(a->weights + group * QUAD * QUAD));
        for (int i = 0; i < QUAD; i++) acc[i] = vdot_add(acc[i], vdot_bytes(taps[i]), weights);
    }
    vf32 v[QUAD];
    for (int i = 0; i < QUAD; i++) {
        v[i] = vf32_mul(vi32_to_f32(vi32_add(vdot_sum(acc[i]), c->start)), c->multiplier);
        v[i] = vf32_add(v[i], c->bias);
    }
    vi32_store(y, round_vectors(v, &c->t));
}

/* Rows in whole vectors, from first to last: what runs over the end of a row is overwritten by the next one. Behind the
 * last row lies somebody else's. */
__attribute__((always_inline)) static inline void depthwise_rows(const goss_depthwise_i8_args *a, const channels *c,
                                                                 size_t groups)
{
    const size_t whole = a->y_columns - a->y_columns % VF32_LANES, rest = a->y_columns - whole;
    const uint8_t *x = a->x;
    uint8_t *y = a->y;
    for (size_t row = 0; row < a->rows; row++, x += a->x_columns * QUAD, y += a->y_columns * QUAD) {
        const bool room = rest > 0 && whole + VF32_LANES <= (a->rows - row) * a->y_columns;
        const size_t end = (whole + (room ? VF32_LANES : 0)) * QUAD;
        for (size_t i = 0; i < end; i += STEP) depthwise_tile(a, c, x + i, y + i, groups);
        if (rest > 0 && !room) {
            uint8_t last[STEP];
            depthwise_tile(a, c, x + whole * QUAD, last, groups);
            memcpy(y + whole * QUAD, last, rest * QUAD);
        }
    }
}

void GOSS_KERNEL(depthwise_i8)(const goss_depthwise_i8_args *a)
{
    const channels c = {vi32_repeat(a->start), repeat_floats(a->multiplier), repeat_floats(a->bias),
                        targets_of(a->target)};
    switch (a->groups) {
    case 3: /* 3x3 */
        depthwise_rows(a, &c, 3);
        break;
    case 7: /* 5x5 */
        depthwise_rows(a, &c, 7);
        break;
    default:
        depthwise_rows(a, &c, a->groups);
    }
}
