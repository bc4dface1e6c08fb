#include <float.h>
#include <string.h>

#include "families.h"

static size_t whole_vectors(const test *t, size_t count)
{
    return (count + t->kernels->lanes - 1) / t->kernels->lanes * t->kernels->lanes;
}

static void test_dense_shape(test *t, size_t rows, size_t columns, range clamp)
{
    case_begin(t, "fully_connected_f32", "rows %zu, columns %zu, clamp %g to %g", rows, columns, (double)clamp.min,
               (double)clamp.max);
    const size_t padded_columns = whole_vectors(t, columns), weights_count = rows * columns;
    float *x = input_new(t, padded_columns * sizeof *x);
    memset(x, 0, padded_columns * sizeof *x);
    fill_random(t, x, columns);
    /* Behind the last weight stands anything finite. */
    float *weights = input_new(t, (weights_count + t->kernels->lanes) * sizeof *weights);
    fill_random(t, weights, weights_count);
    for (size_t i = 0; i < t->kernels->lanes; i++) weights[weights_count + i] = i % 2 ? FLT_MAX : -FLT_MAX;

    float *y = output_new(t, rows * sizeof *y);
    const goss_fully_connected_f32_args args = {
        .x = x,
        .weights = weights,
        .bias = input_random(t, rows),
        .y = y,
        .rows = rows,
        .columns = columns,
        .min = clamp.min,
        .max = clamp.max,
    };
    RUN_KERNEL(t, fully_connected_f32, &args);
    for (size_t row = 0; row < rows; row++) expect_close(t, row, y[row], reference_fully_connected_f32(&args, row));
    case_end(t);
}

void test_fully_connected_f32(test *t)
{
    static const size_t rows[] = {1, 3, 10};
    for (size_t r = 0; r < 3; r++)
        for (size_t columns = 1; columns <= 130; columns++)
            test_dense_shape(t, rows[r], columns, clamps[columns % CLAMPS]);
    for (size_t columns = 16; columns <= 17; columns++) test_dense_shape(t, 1001, columns, clamps[0]);
}

static void test_sparse_shape(test *t, size_t rows, size_t columns, uint32_t zeros_percent, range clamp)
{
    case_begin(t, "fully_connected_sparse_f32", "rows %zu, columns %zu, %u %% zeros, clamp %g to %g", rows, columns,
               zeros_percent, (double)clamp.min, (double)clamp.max);
    uint32_t *weight_count = input_new(t, rows * sizeof *weight_count);
    size_t weights = 0;
    for (size_t row = 0; row < rows; row++) {
        weight_count[row] = 0;
        for (size_t column = 0; column < columns; column++) weight_count[row] += random_below(t, 100) >= zeros_percent;
        weights += weight_count[row];
    }
    uint32_t *x_offset = input_new(t, weights * sizeof *x_offset);
    for (size_t i = 0; i < weights; i++) x_offset[i] = (uint32_t)sizeof(float) * random_below(t, (uint32_t)columns);

    float *y = output_new(t, rows * sizeof *y);
    const goss_fully_connected_sparse_f32_args args = {
        .x = input_random(t, columns),
        .weights = input_random(t, weights),
        .x_offset = x_offset,
        .weight_count = weight_count,
        .bias = input_random(t, rows),
        .y = y,
        .rows = rows,
        .min = clamp.min,
        .max = clamp.max,
    };
    RUN_KERNEL(t, fully_connected_sparse_f32, &args);
    for (size_t row = 0; row < rows; row++)
        expect_close(t, row, y[row], reference_fully_connected_sparse_f32(&args, row));
    case_end(t);
}

void test_fully_connected_sparse_f32(test *t)
{
    static const size_t rows[] = {1, 3, 10, 101}, columns[] = {1, 4, 17, 130};
    static const uint32_t zeros_percent[] = {0, 33, 90, 100};
    for (size_t r = 0; r < 4; r++)
        for (size_t c = 0; c < 4; c++)
            for (size_t z = 0; z < 4; z++)
                test_sparse_shape(t, rows[r], columns[c], zeros_percent[z], clamps[(r + c + z) % CLAMPS]);
}
