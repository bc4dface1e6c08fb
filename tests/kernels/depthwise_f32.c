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
