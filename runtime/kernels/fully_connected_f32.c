/* Sparse matrix x vector, f32: one image through a fully connected layer; blocks as in pointwise_f32.c.
 *
 * The rows of a block are the lanes of a small vector, times one element of x. Several blocks go at a time, each into
 * sums of its own: sums that wait for each other would take the latency of an addition each. What bounds a layer of
 * some size is the way of its weights from memory, which blocks shorten by their shared index. */
#include <string.h>

#include "kernels.h"
#include "vector.h"

/* The rows of a block. These vectors have the size of the block, not of the machine's: compilers cut or fill them. */
#define GOSS_ROWS(rows) __attribute__((vector_size(4 * (rows)), aligned(4), may_alias))
typedef float rows_1 __attribute__((may_alias));
typedef float rows_2 GOSS_ROWS(2);
typedef float rows_4 GOSS_ROWS(4);
typedef float rows_8 GOSS_ROWS(8);

static float element(const float *x, uint32_t offset)
{
    return *(const float *)(const void *)((const char *)x + offset);
}

static float clamp(float value, float min, float max) { return value < min ? min : value > max ? max : value; }

#define GOSS_FULLY_CONNECTED(ROWS)                                                                                     \
    void GOSS_KERNEL(fully_connected_f32_##ROWS##x1)(const goss_pointwise_f32_args *a)                                 \
    {                                                                                                                  \
        enum { AT_ONCE = 16 / ROWS };                                                                                  \
        const rows_##ROWS *weights = (const void *)a->weights;                                                         \
        const uint32_t *offset = a->plane_offset;                                                                      \
        for (size_t block_row = 0; block_row < a->block_rows; block_row++) {                                           \
            size_t blocks = a->columns;                                                                                \
            if (a->block_count)                                                                                        \
                blocks = a->block_count[block_row];                                                                    \
            else                                                                                                       \
                offset = a->plane_offset;                                                                              \
            rows_##ROWS sums[AT_ONCE] = {0};                                                                           \
            for (; blocks >= AT_ONCE; blocks -= AT_ONCE, weights += AT_ONCE, offset += AT_ONCE)                        \
                for (int i = 0; i < AT_ONCE; i++) sums[i] += weights[i] * element(a->x, offset[i]);                    \
            for (; blocks > 0; blocks--) sums[0] += *weights++ * element(a->x, *offset++);                             \
            for (int i = 1; i < AT_ONCE; i++) sums[0] += sums[i];                                                      \
                                                                                                                       \
            float sum[ROWS];                                                                                           \
            memcpy(sum, sums, sizeof sum);                                                                             \
            const float *bias = a->bias + block_row * ROWS;                                                            \
            for (size_t r = 0; r < ROWS; r++) a->y[block_row * ROWS + r] = clamp(bias[r] + sum[r], a->min, a->max);    \
        }                                                                                                              \
    }

GOSS_FULLY_CONNECTED(1)
GOSS_FULLY_CONNECTED(2)
GOSS_FULLY_CONNECTED(4)
GOSS_FULLY_CONNECTED(8)
