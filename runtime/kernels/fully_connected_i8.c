/* Sparse matrix x vector, i8: one image through a fully connected layer; blocks as in pointwise_i8.c.
 *
 * The lanes are the rows of as many blocks as a vector holds, or, of blocks of one row, the blocks. Their sums meet in
 * the end; the few blocks behind the last whole vectors are added one by one. */
#include <string.h>

#include "requantize.h"

enum { QUAD = 4, BLOCK = QUAD * QUAD, PARTS = VF32_LANES / QUAD, SUMS = 4 };

static int32_t dot(const uint8_t *x, const int8_t *weights)
{
    return x[0] * weights[0] + x[1] * weights[1] + x[2] * weights[2] + x[3] * weights[3];
}

static void finish(const goss_matrix_i8_args *a, size_t row, int32_t sum)
{
    float v = (float)(a->start[row] + sum) * a->multiplier[row];
    v = v + a->bias[row];
    if (!a->y_f32)
        a->y[row] = round_i8(v, a->target);
    else if (row < a->f32_rows)
        a->y_f32[row] = clamp_i8(v, a->target);
}

/* The next block row's columns, and how many they are. */
static size_t next_row(const goss_matrix_i8_args *a, size_t block_row, const uint32_t **offset)
{
    if (a->block_count) return a->block_count[block_row];
    *offset = a->plane_offset;
    return a->columns;
}

static inline vdot add_blocks(vdot acc, const uint8_t *x, const uint32_t *offset, const int8_t *weights)
{
    const uint8_t *quads[PARTS];
    for (int i = 0; i < PARTS; i++) quads[i] = x + offset[i];
    return vdot_add(acc, vdot_bytes(vi8_spread(quads)), vdot_weights(vi32_load(weights)));
}

void GOSS_KERNEL(fully_connected_i8_4x4)(const goss_matrix_i8_args *a)
{
    const int8_t *weights = a->weights;
    const uint32_t *offset = a->plane_offset;
    for (size_t row = 0; row < a->rows; row += QUAD) {
        size_t blocks = next_row(a, row / QUAD, &offset);
        vdot acc[SUMS] = {vdot_from(0), vdot_from(0), vdot_from(0), vdot_from(0)};
        for (; blocks >= SUMS * PARTS; blocks -= SUMS * PARTS, offset += SUMS * PARTS, weights += SUMS * PARTS * BLOCK)
            for (int i = 0; i < SUMS; i++)
                acc[i] = add_blocks(acc[i], a->x, offset + i * PARTS, weights + i * PARTS * BLOCK);
        for (; blocks >= PARTS; blocks -= PARTS, offset += PARTS, weights += PARTS * BLOCK)
            acc[0] = add_blocks(acc[0], a->x, offset, weights);

        int32_t lanes[VF32_LANES], sum[QUAD] = {0};
        const vi32 low = vi32_add(vdot_sum(acc[0]), vdot_sum(acc[1]));
        vi32_store(lanes, vi32_add(low, vi32_add(vdot_sum(acc[2]), vdot_sum(acc[3]))));
        for (size_t i = 0; i < VF32_LANES; i++) sum[i % QUAD] += lanes[i];
        for (; blocks > 0; blocks--, offset++, weights += BLOCK)
            for (size_t r = 0; r < QUAD; r++) sum[r] += dot(a->x + *offset, weights + r * QUAD);
        for (size_t r = 0; r < QUAD; r++) finish(a, row + r, sum[r]);
    }
}

void GOSS_KERNEL(fully_connected_i8_1x4)(const goss_matrix_i8_args *a)
{
    const int8_t *weights = a->weights;
    const uint32_t *offset = a->plane_offset;
    for (size_t row = 0; row < a->rows; row++) {
        size_t blocks = next_row(a, row, &offset);
        vdot acc = vdot_from(0);
        for (; blocks >= VF32_LANES; blocks -= VF32_LANES, offset += VF32_LANES, weights += VF32_LANES * QUAD) {
            uint8_t quads[VF32_LANES * QUAD];
            for (size_t i = 0; i < VF32_LANES; i++) memcpy(quads + i * QUAD, a->x + offset[i], QUAD);
            acc = vdot_add(acc, vdot_load(quads), vdot_weights(vi32_load(weights)));
        }
        int32_t lanes[VF32_LANES], sum = 0;
        vi32_store(lanes, vdot_sum(acc));
        for (size_t i = 0; i < VF32_LANES; i++) sum += lanes[i];
        for (; blocks > 0; blocks--, offset++, weights += QUAD) sum += dot(a->x + *offset, weights);
        finish(a, row, sum);
    }
}
