/* Kernels that work on rows of any length: nothing behind the last number is written. */
#include <string.h>

#include "families.h"

static double add(double a, double b) { return a + b; }
static double sub(double a, double b) { return a - b; }
static double mul(double a, double b) { return a * b; }
static double divide(double a, double b) { return a / b; }

static double (*const binary[GOSS_BINARY_KERNELS])(double, double) = {add, sub, mul, divide, fmin, fmax};

/* Steps of 0 or 1; y apart, or over an operand of step 1. */
static void test_binary(test *t, size_t kind, size_t count, size_t a_step, size_t b_step, int over)
{
    case_begin(t, "binary_f32", "kind %zu, count %zu, steps %zu and %zu, y over operand %d", kind, count, a_step,
               b_step, over);
    float *a = output_new(t, (a_step ? count : 1) * sizeof *a), *b = output_new(t, (b_step ? count : 1) * sizeof *b);
    float *a_before = output_new(t, count * sizeof *a), *b_before = output_new(t, count * sizeof *b);
    for (size_t i = 0; i < count; i++) {
        if (a_step || i == 0) a[i] = random_f32(t);
        if (b_step || i == 0) b[i] = random_f32(t) + (random_below(t, 2) ? 1.5f : -1.5f);
        a_before[i] = a[i * a_step];
        b_before[i] = b[i * b_step];
    }
    float *y = over == 1 ? a : over == 2 ? b : output_new(t, count * sizeof *y);
    RUN_KERNEL(t, binary_f32[kind],
               &(goss_binary_f32_args){.a = a, .b = b, .y = y, .count = count, .a_step = a_step, .b_step = b_step});
    for (size_t i = 0; i < count; i++) {
        const double value = binary[kind]((double)a_before[i], (double)b_before[i]);
        expect_close(t, i, y[i], (reference){value, 6e-8 * fabs(value)});
    }
    case_end(t);
}

static void test_reduce(test *t, size_t kind, size_t count)
{
    case_begin(t, "reduce_f32", "kind %zu, count %zu", kind, count);
    float *x = input_new(t, count * sizeof *x);
    double result = kind == 1 ? 1 : kind == 2 ? INFINITY : kind == 3 ? -INFINITY : 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        x[i] = random_f32(t) + (kind == 1 ? 1.5f : 0);
        const double value = (double)x[i];
        size += fabs(value);
        result = kind == 0   ? result + value
                 : kind == 1 ? result * value
                 : kind == 2 ? fmin(result, value)
                             : fmax(result, value);
    }
    const double bound = kind == 0 ? size : kind == 1 ? (double)count * fabs(result) : 0;
    const float found = RUN_KERNEL(t, reduce_f32[kind], x, count);
    expect_close(t, 0, found,
                 (reference){result, 6e-8 * (double)(count + 2) * bound / (kind == 0 ? 4 : 1) + 1e-7 * bound});
    case_end(t);
}

static void test_transpose(test *t, size_t rows, size_t columns, size_t x_gap, size_t y_gap)
{
    case_begin(t, "transpose_f32", "%zux%zu, gaps %zu and %zu", rows, columns, x_gap, y_gap);
    const size_t x_stride = columns + x_gap, y_stride = rows + y_gap;
    float *x = input_random(t, rows * x_stride), *y = output_new(t, columns * y_stride * sizeof *y);
    memset(y, 0, columns * y_stride * sizeof *y);
    RUN_KERNEL(t, transpose_f32,
               &(goss_transpose_f32_args){
                   .x = x, .y = y, .rows = rows, .columns = columns, .x_stride = x_stride, .y_stride = y_stride});
    for (size_t c = 0; c < columns; c++)
        for (size_t r = 0; r < y_stride; r++)
            expect_same(t, c * y_stride + r, y[c * y_stride + r], r < rows ? x[r * x_stride + c] : 0);
    case_end(t);
}

static void test_layer_norm(test *t, size_t count, bool scaled, bool in_place, float shift)
{
    case_begin(t, "layer_norm_f32", "count %zu, %s, around %g", count, scaled ? "scaled" : "plain", (double)shift);
    float *x = output_new(t, count * sizeof *x), *before = output_new(t, count * sizeof *x);
    const float *scale = input_random(t, count), *bias = input_random(t, count);
    double mean = 0, variance = 0;
    for (size_t i = 0; i < count; i++) {
        x[i] = before[i] = random_f32(t) + shift;
        mean += (double)x[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)count;
    float *y = in_place ? x : output_new(t, count * sizeof *y);
    RUN_KERNEL(t, layer_norm_f32,
               &(goss_layer_norm_f32_args){.x = x,
                                           .y = y,
                                           .count = count,
                                           .scale = scaled ? scale : NULL,
                                           .bias = scaled ? bias : NULL,
                                           .epsilon = 1e-3f});
    for (size_t i = 0; i < count; i++) {
        const double unit = ((double)before[i] - mean) / sqrt(variance + (double)1e-3f);
        const double value = scaled ? unit * (double)scale[i] + (double)bias[i] : unit;
        expect_close(t, i, y[i], (reference){value, 2e-6 * (3 + fabs((double)shift)) * 3});
    }
    case_end(t);
}

/* Matrices of up to three taps a row; some rows of the first repeat. */
static goss_taps taps(test *t, size_t rows, size_t size)
{
    uint32_t *counts = input_new(t, rows * sizeof *counts), *index = input_new(t, 3 * rows * sizeof *index);
    float *weights = input_new(t, 3 * rows * sizeof *weights);
    size_t all = 0;
    for (size_t r = 0; r < rows; r++) {
        counts[r] = r > 0 && r % 3 == 0 ? counts[r - 1] : random_below(t, 4);
        for (uint32_t i = 0; i < counts[r]; i++, all++) {
            const bool again = r > 0 && r % 3 == 0;
            index[all] = again ? index[all - counts[r]] : random_below(t, (uint32_t)size);
            weights[all] = again ? weights[all - counts[r]] : random_f32(t);
        }
    }
    return (goss_taps){counts, index, weights};
}

static void test_resize(test *t, size_t in_y, size_t in_x, size_t out_y, size_t out_x)
{
    case_begin(t, "resize_f32", "%zux%zu to %zux%zu", in_y, in_x, out_y, out_x);
    const size_t lanes = t->kernels->lanes;
    const float *x = input_random(t, in_y * in_x);
    float *y = output_new(t, out_y * out_x * sizeof *y);
    float *row = output_new(t, (in_x + lanes - 1) / lanes * lanes * sizeof *row);
    const goss_taps rows = taps(t, out_y, in_y), columns = taps(t, out_x, in_x);
    RUN_KERNEL(t, resize_f32,
               &(goss_resize_f32_args){.x = x,
                                       .y = y,
                                       .row = row,
                                       .rows = rows,
                                       .columns = columns,
                                       .in_x = in_x,
                                       .out_y = out_y,
                                       .out_x = out_x});
    for (size_t r = 0, row_tap = 0; r < out_y; row_tap += rows.counts[r++])
        for (size_t c = 0, tap = 0; c < out_x; tap += columns.counts[c++]) {
            double sum = 0;
            for (size_t i = 0; i < rows.counts[r]; i++)
                for (size_t j = 0; j < columns.counts[c]; j++)
                    sum += (double)rows.weights[row_tap + i] * (double)columns.weights[tap + j] *
                           (double)x[rows.index[row_tap + i] * in_x + columns.index[tap + j]];
            expect_close(t, r * out_x + c, y[r * out_x + c], (reference){sum, 1e-5});
        }
    case_end(t);
}

void test_general_f32(test *t)
{
    static const size_t counts[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 64, 67, 129};
    enum { COUNTS = sizeof counts / sizeof *counts };
    for (size_t i = 0; i < COUNTS; i++) {
        for (size_t kind = 0; kind < GOSS_BINARY_KERNELS; kind++)
            for (size_t steps = 0; steps < 4; steps++)
                for (int over = 0; over < 3; over++)
                    if (over == 0 || steps >> (over - 1) & 1)
                        test_binary(t, kind, counts[i], steps & 1, steps >> 1, over);
        for (size_t kind = 0; kind < GOSS_REDUCE_KERNELS; kind++) test_reduce(t, kind, counts[i]);
        for (int scaled = 0; scaled < 2; scaled++)
            for (int in_place = 0; in_place < 2; in_place++) {
                test_layer_norm(t, counts[i], scaled, in_place, 0);
                test_layer_norm(t, counts[i], scaled, in_place, 20);
            }
        for (size_t j = 0; j < COUNTS; j++) {
            test_transpose(t, counts[i], counts[j], 0, 0);
            test_transpose(t, counts[i], counts[j], 3, 2);
            test_resize(t, counts[i] % 20 + 1, counts[j] % 20 + 1, counts[j] % 9 + 1, counts[i] % 11 + 1);
        }
    }
}
