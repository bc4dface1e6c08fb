#include "families.h"

typedef struct axis {
    size_t in, out, kernel, stride, dilation, pad;
} axis;

static axis random_axis(test *t, size_t in, size_t stride)
{
    axis a = {.in = in, .stride = stride, .kernel = 1 + random_below(t, 7), .dilation = 1 + random_below(t, 3)};
    const size_t reach = (a.kernel - 1) * a.dilation + 1;
    a.pad = random_below(t, (uint32_t)reach + 2);
    size_t padded = a.in + a.pad + random_below(t, (uint32_t)reach);
    if (padded < reach) padded = reach;
    a.out = (padded - reach) / a.stride + 1;
    return a;
}

/* Any numbers: what the kernel multiplies with is the operator's business. */
static const float *random_shares(test *t, size_t count)
{
    const size_t lanes = t->kernels->lanes;
    return input_random(t, (count + lanes - 1) / lanes * lanes);
}

static void test_windows(test *t, axis y, axis x)
{
    const size_t lanes = t->kernels->lanes, y_floats = (y.out * x.out + lanes - 1) / lanes * lanes;
    const size_t read = (x.out - 1) * x.stride + (x.kernel - 1) * x.dilation, written = x.pad + x.in;
    const size_t row_floats = ((read > written ? read : written) + GOSS_POOL_ROOM + lanes - 1) / lanes * lanes;
    case_begin(t, "max_pool_f32, average_pool_f32",
               "%zux%zu, window %zux%zu, stride %zux%zu, dilation %zux%zu, padding %zux%zu, to %zux%zu", y.in, x.in,
               y.kernel, x.kernel, y.stride, x.stride, y.dilation, x.dilation, y.pad, x.pad, y.out, x.out);
    goss_pool_f32_args args = {
        .x = input_random(t, y.in * x.in),
        .y_floats = y_floats,
        .row = output_new(t, row_floats * sizeof(float)),
        .row_floats = row_floats,
        .in_y = y.in,
        .in_x = x.in,
        .out_y = y.out,
        .out_x = x.out,
        .kernel_y = y.kernel,
        .kernel_x = x.kernel,
        .stride_y = y.stride,
        .stride_x = x.stride,
        .dilation_y = y.dilation,
        .dilation_x = x.dilation,
        .pad_top = y.pad,
        .pad_left = x.pad,
        .share_y = random_shares(t, y.out),
        .share_x = random_shares(t, x.out),
    };
    float *largest = output_new(t, y_floats * sizeof *largest), *average = output_new(t, y_floats * sizeof *average);
    args.y = largest;
    RUN_KERNEL(t, max_pool_f32, &args);
    args.y = average;
    RUN_KERNEL(t, average_pool_f32, &args);
    for (size_t row = 0; row < y.out; row++)
        for (size_t column = 0; column < x.out; column++) {
            const size_t index = row * x.out + column;
            expect_same(t, index, largest[index], reference_max_pool_f32(&args, row, column));
            expect_close(t, index, average[index], reference_average_pool_f32(&args, row, column));
        }
    case_end(t);
}

/* Every stride that has a way of its own, planes narrower than a vector, windows that lie outside of the plane. */
void test_pool_f32(test *t)
{
    for (size_t stride = 1; stride <= 4; stride++)
        for (size_t columns = 1; columns <= 6 * t->kernels->lanes; columns += columns < 20 ? 1 : 5)
            for (size_t i = 0; i < 4; i++) {
                const axis y = random_axis(t, 1 + random_below(t, 12), 1 + random_below(t, 3));
                test_windows(t, y, random_axis(t, columns, stride));
            }
}
