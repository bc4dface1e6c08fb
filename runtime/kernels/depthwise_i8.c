/* Depthwise convolution of a quad of channels, i8, over a packed plane: stride, dilation and padding are in the
 * packing.
 *
 * A dot product sums 4 bytes. Here these are 4 taps of one channel: the pixels of 4 taps, loaded as quads of channels,
 * are interleaved byte by byte, so that 16 bytes hold 4 channels x 4 taps of one pixel. Taps are padded to groups of 4
 * with weights of zero. */
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
                                                                 const uint8_t *x, uint8_t *y)
{
    vdot acc[QUAD] = {vdot_from(0), vdot_from(0), vdot_from(0), vdot_from(0)};
    GOSS_ROLLED
    for (size_t group = 0; group < a->groups; group++) {
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

/* Less than a vector of pixels, behind which lies somebody else's. */
__attribute__((noinline)) static void depthwise_rest(const goss_depthwise_i8_args *a, const channels *c,
                                                     const uint8_t *x, uint8_t *y, size_t bytes)
{
    uint8_t whole[STEP];
    depthwise_tile(a, c, x, whole);
    memcpy(y, whole, bytes);
}

/* Rows in whole vectors, from first to last: what runs over the end of a row is overwritten by the next one. */
static void depthwise_rows(const goss_depthwise_i8_args *a, const channels *c)
{
    const size_t row_bytes = a->y_columns * QUAD;
    const uint8_t *x = a->x;
    uint8_t *y = a->y, *const end = y + a->rows * row_bytes;
    for (; y < end; x += a->x_columns * QUAD, y += row_bytes)
        for (size_t i = 0; i < row_bytes; i += STEP) {
            const size_t room = (size_t)(end - (y + i));
            if (room >= STEP)
                depthwise_tile(a, c, x + i, y + i);
            else
                depthwise_rest(a, c, x + i, y + i, room);
        }
}

void GOSS_KERNEL(depthwise_i8)(const goss_depthwise_i8_args *a)
{
    const channels c = {vi32_repeat(a->start), repeat_floats(a->multiplier), repeat_floats(a->bias),
                        targets_of(a->target)};
    depthwise_rows(a, &c);
}
