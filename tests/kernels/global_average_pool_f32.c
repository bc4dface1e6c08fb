#include "families.h"

static void test_shape(test *t, size_t channels, size_t pixels, size_t x_gap, size_t y_stride)
{
    const size_t lanes = t->kernels->lanes, x_stride = (pixels + lanes - 1) / lanes * lanes + x_gap;
    case_begin(t, "global_average_pool_f32", "channels %zu, pixels %zu, x_stride %zu, y_stride %zu", channels, pixels,
               x_stride, y_stride);
    /* What fill_random() leaves out, the padding of the planes, stays NaN. */
    float *x = input_new(t, channels * x_stride * sizeof *x);
    for (size_t channel = 0; channel < channels; channel++) fill_random(t, x + channel * x_stride, pixels);

    float *y = output_new(t, channels * y_stride * sizeof *y);
    const goss_global_average_pool_f32_args args = {
        .x = x, .y = y, .channels = channels, .pixels = pixels, .x_stride = x_stride, .y_stride = y_stride};
    RUN_KERNEL(t, global_average_pool_f32, &args);
    for (size_t channel = 0; channel < channels; channel++) {
        const size_t index = channel * y_stride;
        expect_close(t, index, y[index], reference_global_average_pool_f32(&args, channel));
        expect_untouched(t, index + 1, y + index + 1, y_stride - 1);
    }
    case_end(t);
}

void test_global_average_pool_f32(test *t)
{
    const size_t lanes = t->kernels->lanes;
    const size_t pixels[] = {1, lanes - 1, lanes, lanes + 1, 2 * lanes + 1, 5 * lanes, 49, 196};
    static const size_t channels[] = {1, 2, 9};
    for (size_t p = 0; p < sizeof pixels / sizeof *pixels; p++)
        for (size_t c = 0; c < 3; c++)
            for (size_t gap = 0; gap < 2; gap++) {
                test_shape(t, channels[c], pixels[p], gap * lanes, 1);
                test_shape(t, channels[c], pixels[p], gap * lanes, lanes);
            }
}
