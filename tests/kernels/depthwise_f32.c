#include "families.h"

typedef struct shape {
    size_t taps, rows, columns;
} shape;

static void test_shape(test *t, shape s, range clamp)
{
    enum { FARTHEST = 3 * 67 }; /* floats between the first tap and the last */
    const size_t x_columns = s.columns + random_below(t, 5), lanes = t->kernels->lanes;
    case_begin(t, "depthwise_f32", "taps %zu, %zu rows of %zu in %zu, clamp %g to %g", s.taps, s.rows, s.columns,
               x_columns, (double)clamp.min, (double)clamp.max);
    uint32_t *tap_offset = input_new(t, s.taps * sizeof *tap_offset);
    for (size_t tap = 0; tap < s.taps; tap++) tap_offset[tap] = (uint32_t)sizeof(float) * random_below(t, FARTHEST + 1);
    tap_offset[s.taps - 1] = (uint32_t)sizeof(float) * FARTHEST;

    float *y = output_new(t, s.rows * s.columns * sizeof *y);
    const goss_depthwise_f32_args args = {
        .x = input_random(t, FARTHEST + s.rows * x_columns + lanes),
        .weights = input_random(t, s.taps),
        .tap_offset = tap_offset,
        .y = y,
        .rows = s.rows,
        .x_columns = x_columns,
        .y_columns = s.columns,
        .taps = s.taps,
        .bias = random_f32(t),
        .min = clamp.min,
        .max = clamp.max,
    };
    RUN_KERNEL(t, depthwise_f32, &args);
    for (size_t row = 0; row < s.rows; row++)
        for (size_t column = 0; column < s.columns; column++)
            expect_close(t, row * s.columns + column, y[row * s.columns + column],
                         reference_depthwise_f32(&args, row, column));
    case_end(t);
}

/* Every tile width, with and without a rest; rows narrower than a vector. */
void test_depthwise_f32(test *t)
{
    static const size_t taps[] = {1, 6, 9, 25}, rows[] = {0, 1, 2, 5};
    for (size_t i = 0; i < 4; i++)
        for (size_t columns = 1; columns <= 5 * t->kernels->lanes; columns += columns < 9 ? 1 : 3)
            for (size_t r = 0; r < 4; r++)
                test_shape(t, (shape){taps[i], rows[r], columns}, clamps[(columns + r) % CLAMPS]);
}

enum { PERIOD_ROOM = 64 };

/* One mask for each kernel column, but none for the first: that column always counts. */
static const float *const *random_masks(test *t, size_t kernel_x, size_t period)
{
    const float **masks = input_new(t, kernel_x * sizeof *masks);
    for (size_t column = 0; column < kernel_x; column++) {
        uint32_t *mask = input_new(t, (period + PERIOD_ROOM) * sizeof *mask);
        for (size_t i = 0; i < period + PERIOD_ROOM; i++)
            mask[i] = i >= period ? mask[i - period] : random_below(t, 4) ? UINT32_MAX : 0;
        masks[column] = column == 0 ? NULL : (const float *)(const void *)mask;
    }
    return masks;
}

static void test_same(test *t, size_t kernel_y, size_t kernel_x, size_t vectors, range clamp)
{
    enum { ROW = 13 };
    const size_t lanes = t->kernels->lanes, pixels = vectors * lanes, period = ROW * lanes;
    const size_t place = random_below(t, ROW) * (uint32_t)lanes;
    case_begin(t, "depthwise_same_f32", "%zux%zu, pixels %zu from %zu, clamp %g to %g", kernel_y, kernel_x, pixels,
               place, (double)clamp.min, (double)clamp.max);
    ptrdiff_t *column_offset = input_new(t, kernel_x * sizeof *column_offset);
    for (size_t column = 0; column < kernel_x; column++) column_offset[column] = (ptrdiff_t)column - ROW;

    float *y = output_new(t, pixels * sizeof *y);
    const goss_depthwise_same_f32_args args = {
        .x = input_random(t, ROW + pixels + kernel_y * ROW + kernel_x) + ROW,
        .weights = input_random(t, kernel_y * kernel_x),
        .column_offset = column_offset,
        .masks = random_masks(t, kernel_x, period),
        .row_offset = ROW,
        .y = y,
        .pixels = pixels,
        .period = period,
        .place = place,
        .kernel_y = kernel_y,
        .kernel_x = kernel_x,
        .bias = random_f32(t),
        .min = clamp.min,
        .max = clamp.max,
    };
    RUN_KERNEL(t, depthwise_same_f32, &args);
    for (size_t pixel = 0; pixel < pixels; pixel++)
        expect_close(t, pixel, y[pixel], reference_depthwise_same_f32(&args, pixel));
    case_end(t);
}

void test_depthwise_same_f32(test *t)
{
    static const size_t kernels[][2] = {{1, 1}, {3, 3}, {5, 5}, {1, 4}, {7, 2}};
    for (size_t k = 0; k < 5; k++)
        for (size_t vectors = 1; vectors <= 30; vectors += vectors < 10 ? 1 : 5)
            for (size_t c = 0; c < CLAMPS; c++) test_same(t, kernels[k][0], kernels[k][1], vectors, clamps[c]);
}
