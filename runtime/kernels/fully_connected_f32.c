/* Matrix x vector, f32: one image through a fully connected layer. */
#include "kernels.h"
#include "vector.h"

static float clamp(float value, float min, float max) { return value < min ? min : value > max ? max : value; }

/* Rows by fours, so that each loaded piece of x serves four of them. The last load of a row runs into what follows
 * it, where x is zero. */
enum { ROWS = 4 };

__attribute__((always_inline)) static inline void rows_times_vector(const goss_fully_connected_f32_args *a, size_t row,
                                                                    int rows)
{
    const float *weights = a->weights + row * a->columns;
    vf32 acc[ROWS];
    for (int r = 0; r < rows; r++) acc[r] = vf32_splat(0);
    for (size_t c = 0; c < a->columns; c += VF32_LANES) {
        const vf32 x = vf32_load(a->x + c);
        for (int r = 0; r < rows; r++) acc[r] = vf32_madd(acc[r], x, vf32_load(weights + (size_t)r * a->columns + c));
    }
    for (int r = 0; r < rows; r++)
        a->y[row + (size_t)r] = clamp(a->bias[row + (size_t)r] + vf32_sum(acc[r]), a->min, a->max);
}

void GOSS_KERNEL(fully_connected_f32)(const goss_fully_connected_f32_args *a)
{
    size_t row = 0;
    for (; row + ROWS <= a->rows; row += ROWS) rows_times_vector(a, row, ROWS);
    for (; row < a->rows; row++) rows_times_vector(a, row, 1);
}

void GOSS_KERNEL(fully_connected_sparse_f32)(const goss_fully_connected_sparse_f32_args *a)
{
    const float *weight = a->weights;
    const uint32_t *offset = a->x_offset;
    for (size_t row = 0; row < a->rows; row++) {
        float sum = 0;
        for (uint32_t count = a->weight_count[row]; count > 0; count--)
            sum += *weight++ * *(const float *)(const void *)((const char *)a->x + *offset++);
        a->y[row] = clamp(a->bias[row] + sum, a->min, a->max);
    }
}
