/* Sparse pointwise convolution, f32: blocks of 1, 2, 4 or 8 output channels x 1 input channel.
 *
 * Each loaded input vector feeds all rows of a block. That reuse, not the skipped work alone, is why few zeros
 * already pay. A tile's accumulators fill half of the registers (GOSS_TILE_VECTORS). Dense weights are the case where
 * every block is present: the same loop, offsets read anew each row. The last pixels take narrower tiles of the same
 * code, so planes are padded to one vector only.
 *
 * Block-sparse matrix times channel planes: Elsen et al. 2019, arXiv:1911.09723. */
#include <assert.h>

#include "kernels.h"
#include "vector.h"

/* One column of pixels, `vectors` wide, through all block rows. Constant arguments unroll completely. */
__attribute__((always_inline)) static inline void pointwise_tile(const goss_pointwise_f32_args *a, size_t pixel,
                                                                 int rows, int vectors)
{
    const vf32 min = vf32_splat(a->min), max = vf32_splat(a->max);
    const float *weights = a->weights, *bias = a->bias;
    const uint32_t *offset = a->plane_offset;
    const char *x = (const char *)(a->x + pixel);
    const float *residual = a->residual ? a->residual + pixel : NULL;
    float *y = a->y + pixel;

    for (size_t block_row = 0; block_row < a->block_rows; block_row++) {
        vf32 acc[8][8]; /* [rows][vectors] in use */
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) acc[r][v] = vf32_splat(bias[r]);
        bias += rows;

        size_t blocks = a->columns;
        if (a->block_count)
            blocks = a->block_count[block_row];
        else
            offset = a->plane_offset;
        for (; blocks > 0; blocks--) {
            const float *plane = (const float *)(const void *)(x + *offset++);
            for (int v = 0; v < vectors; v++) {
                const vf32 in = vf32_load(plane + v * VF32_LANES);
                for (int r = 0; r < rows; r++) acc[r][v] = vf32_madd(acc[r][v], in, vf32_splat(weights[r]));
            }
            weights += rows;
        }

        if (residual) {
            for (int r = 0; r < rows; r++, residual += a->y_stride)
                for (int v = 0; v < vectors; v++) acc[r][v] = vf32_add(acc[r][v], vf32_load(residual + v * VF32_LANES));
        }
        for (int r = 0; r < rows; r++, y += a->y_stride)
            for (int v = 0; v < vectors; v++) vf32_store(y + v * VF32_LANES, vf32_clamp(acc[r][v], min, max));
    }
}

__attribute__((always_inline)) static inline void pointwise(const goss_pointwise_f32_args *a, int rows)
{
    assert(a->pixels > 0 && a->pixels % VF32_LANES == 0 && a->y_stride >= a->pixels);
    const int widest = GOSS_TILE_VECTORS(rows);
    size_t vectors = a->pixels / VF32_LANES, pixel = 0;

    for (; vectors >= (size_t)widest; vectors -= (size_t)widest, pixel += (size_t)widest * VF32_LANES)
        pointwise_tile(a, pixel, rows, widest);
    if (widest > 4 && vectors >= 4) {
        pointwise_tile(a, pixel, rows, 4);
        vectors -= 4, pixel += 4 * VF32_LANES;
    }
    if (widest > 2 && vectors >= 2) {
        pointwise_tile(a, pixel, rows, 2);
        vectors -= 2, pixel += 2 * VF32_LANES;
    }
    if (widest > 1 && vectors > 0) pointwise_tile(a, pixel, rows, 1);
}

void GOSS_KERNEL(pointwise_f32_1x1)(const goss_pointwise_f32_args *a) { pointwise(a, 1); }
void GOSS_KERNEL(pointwise_f32_2x1)(const goss_pointwise_f32_args *a) { pointwise(a, 2); }
void GOSS_KERNEL(pointwise_f32_4x1)(const goss_pointwise_f32_args *a) { pointwise(a, 4); }
void GOSS_KERNEL(pointwise_f32_8x1)(const goss_pointwise_f32_args *a) { pointwise(a, 8); }
