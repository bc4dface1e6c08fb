#include "families.h"

static void test_shape(test *t, size_t taps, size_t pixels, range clamp)
{
    case_begin(t, "depthwise_f32", "taps %zu, pixels %zu, clamp %g to %g", taps, pixels, (double)clamp.min,
               (double)clamp.max);
    enum { FARTHEST = 3 * 67 }; /* floats between the first tap and the last */
    uint32_t *tap_offset = input_new(t, taps * sizeof *tap_offset);
    for (size_t tap = 0; tap < taps; tap++) tap_offset[tap] = (uint32_t)sizeof(float) * random_below(t, FARTHEST + 1);
    tap_offset[taps - 1] = (uint32_t)sizeof(float) * FARTHEST;

    float *y = output_new(t, pixels * sizeof *y);
    const goss_depthwise_f32_args args = {
        .x = input_random(t, FARTHEST + pixels),
        .weights = input_random(t, taps),
        .tap_offset = tap_offset,
        .y = y,
        .pixels = pixels,
        .taps = taps,
        .bias = random_f32(t),
        .min = clamp.min,
        .max = clamp.max,
    };
    RUN_KERNEL(t, depthwise_f32, &args);
    for (size_t pixel = 0; pixel < pixels; pixel++)
        expect_close(t, pixel, y[pixel], reference_depthwise_f32(&args, pixel));
    case_end(t);
}

void test_depthwise_f32(test *t)
{
    static const size_t taps[] = {1, 9, 25};
    for (size_t i = 0; i < 3; i++)
        for (size_t vectors = 1; vectors <= 17; vectors++)
            for (size_t c = 0; c < CLAMPS; c++) test_shape(t, taps[i], vectors * t->kernels->lanes, clamps[c]);
}
