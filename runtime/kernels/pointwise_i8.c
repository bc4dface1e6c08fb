/* Sparse pointwise convolution, i8: blocks of 4 or 1 output channels x 4 input channels.
 *
 * x       [C / 4][stride] quads: a vector holds 4 channels of several pixels
 * weights blocks of 4 or 1 rows of 4 bytes; each row goes to all lanes and meets the quads of as many pixels
 * y       [rows / 4][y_stride] quads
 *
 * One dot product of bytes does what 4 multiply-adds of f32 do, and a block shares its input among 4 rows. Rows end as
 * quads of the output: 4 rows are rounded, narrowed to bytes and transposed. Dense weights are the case where every
 * block is present. See pointwise_f32.c for what both have in common. */
#include "pointwise_i8.h"

#include <assert.h>

#include "requantize.h"

enum { QUAD = 4 };

/* acc[row][vector] += one column's block: `rows` rows of weights times the plane's pixels. */
__attribute__((always_inline)) static inline void add_block(vdot acc[QUAD][4], const uint8_t *plane,
                                                            const int8_t *weights, int rows, int vectors)
{
    vdot_x in[4];
    for (int v = 0; v < vectors; v++) in[v] = vdot_load(plane + v * QUAD * VF32_LANES);
    for (int r = 0; r < rows; r++) {
        const vdot_w weight = rows == QUAD ? vdot_row(vdot_load_block(weights), r) : vdot_splat(weights);
        for (int v = 0; v < vectors; v++) acc[r][v] = vdot_add(acc[r][v], in[v], weight);
    }
}

/* The sums of 4 rows over one vector of pixels, as a vector of quads. */
__attribute__((always_inline)) static inline vi32 finish(const goss_matrix_i8_args *a, const targets *t, size_t row,
                                                         const vi32 sums[QUAD], const uint8_t *residual)
{
    vf32 v[QUAD];
    for (int r = 0; r < QUAD; r++) {
        v[r] = vf32_mul(vi32_to_f32(sums[r]), vf32_splat(a->multiplier[row + (size_t)r]));
        v[r] = vf32_add(v[r], vf32_splat(a->bias[row + (size_t)r]));
    }
    if (residual) {
        const vi32 rows = vi8_transpose(vi32_load(residual)), zero_point = vi32_splat(a->residual_zero_point);
        const vf32 multiplier = vf32_splat(a->residual_multiplier);
        for (int r = 0; r < QUAD; r++) v[r] = vf32_add(v[r], vf32_mul(offset_vector(rows, r, zero_point), multiplier));
    }
    return vi8_transpose(round_vectors(v, t));
}

/* The same of vector v of a tile, stored. */
__attribute__((always_inline)) static inline void store_vector(const goss_matrix_i8_args *a, const targets *t,
                                                               size_t row, const vdot acc[QUAD][4], size_t v,
                                                               uint8_t *y, const uint8_t *residual)
{
    const size_t place = v * QUAD * VF32_LANES;
    vi32 sums[QUAD];
    for (int r = 0; r < QUAD; r++) sums[r] = vdot_sum(acc[r][v]);
    vi32_store(y + place, finish(a, t, row, sums, residual ? residual + place : NULL));
}

/* One column of pixels, `vectors` wide, through all rows. Constant arguments unroll completely. */
__attribute__((always_inline)) static inline void pointwise_tile(const goss_matrix_i8_args *a, size_t pixel,
                                                                 int block_rows, int vectors)
{
    const targets t = targets_of(a->target);
    const int8_t *weights = a->weights;
    const uint32_t *offset = a->plane_offset, *count = a->block_count;
    const uint8_t *x = a->x + pixel * QUAD, *residual = a->residual ? a->residual + pixel * QUAD : NULL;
    uint8_t *y = a->y + pixel * QUAD;

    for (size_t row = 0; row < a->rows; row += QUAD) {
        vdot acc[QUAD][4]; /* [QUAD][vectors] in use */
        GOSS_ROLLED
        for (int first = 0; first < QUAD; first += block_rows) {
            vdot part[QUAD][4]; /* [block_rows][vectors], in registers */
            for (int r = 0; r < block_rows; r++)
                for (int v = 0; v < vectors; v++) part[r][v] = vdot_from(a->start[row + (size_t)(first + r)]);
            size_t blocks = a->columns;
            if (count)
                blocks = *count++;
            else
                offset = a->plane_offset;
            for (; blocks > 0; blocks--) {
                add_block(part, x + *offset++, weights, block_rows, vectors);
                weights += block_rows * QUAD;
            }
            for (int r = 0; r < block_rows; r++)
                for (int v = 0; v < vectors; v++) acc[first + r][v] = part[r][v];
        }
        if (vectors > 2) { /* copies for each would be most of the kernel */
            GOSS_ROLLED
            for (size_t v = 0; v < (size_t)vectors; v++) store_vector(a, &t, row, acc, v, y, residual);
        } else {
            for (size_t v = 0; v < (size_t)vectors; v++) store_vector(a, &t, row, acc, v, y, residual);
        }
        y += a->y_stride * QUAD;
        if (residual) residual += a->y_stride * QUAD;
    }
}

__attribute__((always_inline)) static inline void pointwise(const goss_matrix_i8_args *a, int block_rows)
{
    assert(a->pixels > 0 && a->pixels % VF32_LANES == 0 && a->y_stride >= a->pixels && a->rows % QUAD == 0);
    const int widest = GOSS_POINTWISE_I8_VECTORS(block_rows);
    size_t vectors = a->pixels / VF32_LANES, pixel = 0;

    for (; vectors >= (size_t)widest; vectors -= (size_t)widest, pixel += (size_t)widest * VF32_LANES)
        pointwise_tile(a, pixel, block_rows, widest);
    if (widest > 2 && vectors >= 2) {
        pointwise_tile(a, pixel, block_rows, 2);
        vectors -= 2, pixel += 2 * VF32_LANES;
    }
    if (widest > 1 && vectors > 0) pointwise_tile(a, pixel, block_rows, 1);
}

void GOSS_KERNEL(pointwise_i8_1x4)(const goss_matrix_i8_args *a) { pointwise(a, 1); }
void GOSS_KERNEL(pointwise_i8_4x4)(const goss_matrix_i8_args *a) { pointwise(a, 4); }
