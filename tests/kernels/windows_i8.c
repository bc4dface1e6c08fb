#include "bytes.h"

enum { FARTHEST = 3 * 67 }; /* quads between the first tap and the last */

static uint32_t *random_taps(test *t, size_t taps)
{
    uint32_t *offset = input_new(t, taps * sizeof *offset);
    for (size_t tap = 0; tap < taps; tap++) offset[tap] = QUAD * random_below(t, FARTHEST + 1);
    offset[taps - 1] = QUAD * FARTHEST;
    return offset;
}

static void test_depthwise(test *t, size_t groups, size_t rows, size_t columns)
{
    const size_t x_columns = columns + random_below(t, 5);
    case_begin(t, "depthwise_i8", "%zu groups of taps, %zu rows of %zu in %zu", groups, rows, columns, x_columns);
    int32_t *start = input_new(t, QUAD * sizeof *start);
    float *multiplier = input_new(t, QUAD * sizeof *multiplier), *bias = input_new(t, QUAD * sizeof *bias);
    for (size_t c = 0; c < QUAD; c++) {
        start[c] = (int32_t)random_below(t, 200000) - 100000;
        multiplier[c] = (random_f32(t) + 1) * 1e-3f;
        bias[c] = 50 * random_f32(t) - (float)start[c] * multiplier[c];
    }
    uint8_t *y = output_new(t, rows * columns * QUAD);
    const goss_depthwise_i8_args args = {
        .x = input_u7(t, QUAD * (FARTHEST + rows * x_columns + t->kernels->lanes)),
        .weights = input_i8(t, groups * QUAD * QUAD),
        .tap_offset = random_taps(t, groups * QUAD),
        .start = start,
        .multiplier = multiplier,
        .bias = bias,
        .y = y,
        .rows = rows,
        .x_columns = x_columns,
        .y_columns = columns,
        .groups = groups,
        .target = random_target(t),
    };
    RUN_KERNEL(t, depthwise_i8, &args);
    for (size_t i = 0; i < rows * columns * QUAD; i++)
        expect_byte(t, i, y[i], reference_depthwise_i8(&args, i / QUAD / columns, i / QUAD % columns, i % QUAD));
    case_end(t);
}

/* 3x3, 5x5 and others; every width of the last tile; rows narrower than a vector. */
void test_depthwise_i8(test *t)
{
    static const size_t groups[] = {1, 3, 4, 7, 9}, rows[] = {0, 1, 2, 5};
    for (size_t i = 0; i < 5; i++)
        for (size_t columns = 1; columns <= 3 * t->kernels->lanes; columns += columns < 17 ? 1 : 5)
            for (size_t r = 0; r < 4; r++) test_depthwise(t, groups[i], rows[r], columns);
}

static void test_max_pool(test *t, size_t taps, size_t rows, size_t columns)
{
    const size_t x_columns = columns + random_below(t, 5);
    case_begin(t, "max_pool_i8", "%zu taps, %zu rows of %zu in %zu", taps, rows, columns, x_columns);
    uint8_t *y = output_new(t, rows * columns * QUAD);
    const goss_max_pool_i8_args args = {
        .x = input_u7(t, QUAD * (FARTHEST + rows * x_columns + t->kernels->lanes)),
        .tap_offset = random_taps(t, taps),
        .y = y,
        .rows = rows,
        .x_columns = x_columns,
        .y_columns = columns,
        .taps = taps,
    };
    RUN_KERNEL(t, max_pool_i8, &args);
    for (size_t i = 0; i < rows * columns * QUAD; i++)
        expect_byte(t, i, y[i], reference_max_pool_i8(&args, i / QUAD / columns, i / QUAD % columns, i % QUAD));
    case_end(t);
}

static void test_global_average_pool(test *t, size_t pixels)
{
    case_begin(t, "global_average_pool_i8", "%zu pixels", pixels);
    uint8_t *y = output_new(t, QUAD);
    const goss_global_average_pool_i8_args args = {
        .x = input_u7(t, pixels * QUAD),
        .y = y,
        .pixels = pixels,
        .zero_point = (int32_t)random_below(t, 128),
        .multiplier = (random_f32(t) + 1) / (float)pixels,
        .target = random_target(t),
    };
    RUN_KERNEL(t, global_average_pool_i8, &args);
    for (size_t c = 0; c < QUAD; c++) expect_byte(t, c, y[c], reference_global_average_pool_i8(&args, c));
    case_end(t);
}

void test_pool_i8(test *t)
{
    static const size_t taps[] = {1, 4, 9}, rows[] = {0, 1, 4};
    for (size_t i = 0; i < 3; i++)
        for (size_t columns = 1; columns <= 2 * t->kernels->lanes + 1; columns++)
            for (size_t r = 0; r < 3; r++) test_max_pool(t, taps[i], rows[r], columns);
    for (size_t pixels = 1; pixels <= 70; pixels++) test_global_average_pool(t, pixels);
}
