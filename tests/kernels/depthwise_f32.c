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

/* A plane with the readable bytes that kernels may ask for; what is not the plane is NaN. */
static const float *random_plane(test *t, size_t floats)
{
    const size_t around = GOSS_READABLE_BEFORE + GOSS_READABLE_BEHIND;
    float *plane = (float *)input_new(t, floats * sizeof *plane + around) + GOSS_READABLE_BEFORE / sizeof *plane;
    fill_random(t, plane, floats);
    return plane;
}

static const float *inside_words(test *t, size_t words, size_t pad, size_t columns)
{
    uint32_t *inside = input_new(t, words * sizeof *inside);
    for (size_t i = 0; i < words; i++) inside[i] = i >= pad && i - pad < columns ? UINT32_MAX : 0;
    return (const float *)(const void *)inside;
}

static void test_square(test *t, size_t kernel, size_t stride, size_t in_y, size_t in_x, range clamp)
{
    const size_t top = random_below(t, (uint32_t)kernel), left = random_below(t, (uint32_t)kernel);
    const size_t bottom = random_below(t, (uint32_t)kernel), right = random_below(t, (uint32_t)kernel);
    if (in_y + top + bottom < kernel || in_x + left + right < kernel) return;
    const size_t out_y = (in_y + top + bottom - kernel) / stride + 1,
                 out_x = (in_x + left + right - kernel) / stride + 1;
    case_begin(t, "depthwise_square_f32", "%zux%zu, stride %zu, padding %zu %zu %zu %zu, %zux%zu, clamp %g to %g",
               kernel, kernel, stride, top, left, bottom, right, in_y, in_x, (double)clamp.min, (double)clamp.max);
    const size_t lanes = t->kernels->lanes, y_floats = (out_y * out_x + lanes - 1) / lanes * lanes;
    float *y = output_new(t, y_floats * sizeof *y);
    const goss_depthwise_square_f32_args args = {
        .x = random_plane(t, in_y * in_x),
        .inside = inside_words(t, stride * out_x + GOSS_INSIDE_ROOM, left, in_x),
        .weights = input_random(t, kernel * kernel),
        .y = y,
        .y_floats = y_floats,
        .in_y = in_y,
        .in_x = in_x,
        .out_y = out_y,
        .out_x = out_x,
        .kernel = kernel,
        .stride = stride,
        .pad_top = top,
        .pad_left = left,
        .bias = random_f32(t),
        .min = clamp.min,
        .max = clamp.max,
    };
    RUN_KERNEL(t, depthwise_square_f32, &args);
    for (size_t row = 0; row < out_y; row++)
        for (size_t column = 0; column < out_x; column++)
            expect_close(t, row * out_x + column, y[row * out_x + column],
                         reference_depthwise_square_f32(&args, row, column));
    case_end(t);
}

/* Planes narrower than the kernel, strips that reach over one end, over both, over none. */
void test_depthwise_square_f32(test *t)
{
    static const size_t rows[] = {1, 2, 3, 7, 14};
    for (size_t kernel = 3; kernel <= 5; kernel += 2)
        for (size_t stride = 1; stride <= 2; stride++)
            for (size_t columns = 1; columns <= 10 * t->kernels->lanes; columns += columns < 20 ? 1 : 7)
                for (size_t r = 0; r < 5; r++)
                    test_square(t, kernel, stride, rows[r], columns, clamps[(columns + r) % CLAMPS]);
}
