#include "families.h"

typedef struct axis {
    size_t in, kernel, dilation, stride, pad_before, pad_after;
} axis;

static axis random_axis(test *t)
{
    axis a = {
        .in = 1 + random_below(t, 40),
        .kernel = 1 + random_below(t, 5),
        .dilation = 1 + random_below(t, 2),
        .stride = 1 + random_below(t, 3),
        .pad_before = random_below(t, 7),
        .pad_after = random_below(t, 7),
    };
    const size_t reach = (a.kernel - 1) * a.dilation + 1;
    while (a.in + a.pad_before + a.pad_after < reach) a.in++;
    return a;
}

static size_t out(axis a)
{
    return (a.in + a.pad_before + a.pad_after - (a.kernel - 1) * a.dilation - 1) / a.stride + 1;
}

static size_t packed(axis a) { return out(a) + (a.kernel - 1) * a.dilation / a.stride; }

/* Phase `p` at position `i` holds padded coordinate i * stride + p; inside the plane where this is below `in`. */
static size_t coordinate(axis a, size_t phase, size_t i) { return i * a.stride + phase - a.pad_before; }

static void test_pack(test *t)
{
    const axis y = random_axis(t), x = random_axis(t);
    const size_t rows = packed(y), columns = packed(x), phase_floats = rows * columns + 16 + random_below(t, 5);
    case_begin(t, "pack_f32", "%zux%zu, stride %zux%zu, pad %zux%zu, to %zux%zu", y.in, x.in, y.stride, x.stride,
               y.pad_before, x.pad_before, rows, columns);
    const float *plane = input_random(t, y.in * x.in);
    float *found = output_new(t, y.stride * x.stride * phase_floats * sizeof *found);
    const goss_pack_f32_args args = {
        .x = plane,
        .packed = found,
        .in_y = y.in,
        .in_x = x.in,
        .rows = rows,
        .columns = columns,
        .phase_floats = phase_floats,
        .stride_y = y.stride,
        .stride_x = x.stride,
        .pad_top = y.pad_before,
        .pad_left = x.pad_before,
        .phases_y = y.stride,
        .phases_x = x.stride,
        .outside = random_f32(t),
    };
    RUN_KERNEL(t, pack_f32, &args);
    for (size_t phase = 0; phase < y.stride * x.stride; phase++)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) {
                const size_t row = coordinate(y, phase / x.stride, r), column = coordinate(x, phase % x.stride, c);
                const size_t index = phase * phase_floats + r * columns + c;
                const bool inside = row < y.in && column < x.in; /* before the plane the difference wraps around */
                expect_same(t, index, found[index], inside ? plane[row * x.in + column] : args.outside);
            }
    case_end(t);
}

/* Interleaved pixels against pack_f32 of each channel's normalised plane. */
static void test_pack_pixels(test *t)
{
    const axis y = random_axis(t), x = random_axis(t);
    const size_t channels = 1 + random_below(t, 5), element_bytes = random_below(t, 2) ? 1 : 4;
    const size_t rows = packed(y), columns = packed(x), phase_floats = rows * columns + 16;
    const size_t plane_floats = y.stride * x.stride * phase_floats + random_below(t, 20);
    const size_t x_stride = x.in * channels + random_below(t, 5), row_floats = (x.in + 15) / 16 * 16;
    case_begin(t, "pack_pixels_f32", "%zux%zux%zu of %zu bytes, stride %zux%zu, pad %zux%zu, to %zux%zu", y.in, x.in,
               channels, element_bytes, y.stride, x.stride, y.pad_before, x.pad_before, rows, columns);
    const float *mean = input_random(t, channels), *scale = input_random(t, channels);
    const size_t elements = (y.in - 1) * x_stride + x.in * channels;
    float *values = input_exact(t, elements * sizeof *values);
    uint8_t *bytes = (uint8_t *)input_exact(t, (elements + 3) / 4 * 4) + (4 - elements % 4) % 4;
    for (size_t i = 0; i < elements; i++) {
        values[i] = random_f32(t);
        bytes[i] = (uint8_t)random_below(t, 256);
    }
    float *found = output_new(t, channels * plane_floats * sizeof *found);
    float *row = output_new(t, (channels * row_floats + 16) * sizeof *row);
    goss_pack_pixels_f32_args args = {
        .pack = {.packed = found,
                 .in_y = y.in,
                 .in_x = x.in,
                 .rows = rows,
                 .columns = columns,
                 .phase_floats = phase_floats,
                 .stride_y = y.stride,
                 .stride_x = x.stride,
                 .pad_top = y.pad_before,
                 .pad_left = x.pad_before,
                 .phases_y = y.stride,
                 .phases_x = x.stride},
        .x = element_bytes == 1 ? (const void *)bytes : values,
        .element_bytes = element_bytes,
        .x_stride = x_stride,
        .channels = channels,
        .plane_floats = plane_floats,
        .mean = mean,
        .scale = scale,
        .row = row,
        .row_floats = row_floats,
    };
    for (args.phase_y = 0; args.phase_y < y.stride; args.phase_y++) RUN_KERNEL(t, pack_pixels_f32, &args);
    for (size_t i = 0; i < channels * y.stride * x.stride * rows * columns; i++) {
        const size_t c = i % columns, r = i / columns % rows, phase = i / columns / rows % (y.stride * x.stride);
        const size_t channel = i / columns / rows / (y.stride * x.stride);
        const size_t index = channel * plane_floats + phase * phase_floats + r * columns + c;
        const size_t in_row = coordinate(y, phase / x.stride, r), in_column = coordinate(x, phase % x.stride, c);
        const size_t element = in_row * x_stride + in_column * channels + channel;
        float wanted = 0;
        if (in_row < y.in && in_column < x.in)
            wanted = ((element_bytes == 1 ? (float)bytes[element] : values[element]) - mean[channel]) * scale[channel];
        expect_same(t, index, found[index], wanted);
    }
    case_end(t);
}

static void test_unpack(test *t, size_t rows, size_t columns)
{
    const size_t x_columns = columns + random_below(t, 5);
    case_begin(t, "unpack_f32", "%zu rows of %zu in %zu", rows, columns, x_columns);
    const float *x = input_random(t, rows * x_columns + t->kernels->lanes);
    float *y = output_new(t, rows * columns * sizeof *y);
    RUN_KERNEL(t, unpack_f32,
               &(goss_unpack_f32_args){.x = x, .y = y, .rows = rows, .x_columns = x_columns, .y_columns = columns});
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) expect_same(t, r * columns + c, y[r * columns + c], x[r * x_columns + c]);
    case_end(t);
}

void test_pack_f32(test *t)
{
    for (size_t i = 0; i < 500; i++) test_pack(t);
    for (size_t i = 0; i < 300; i++) test_pack_pixels(t);
    for (size_t rows = 0; rows < 4; rows++)
        for (size_t columns = 1; columns < 3 * t->kernels->lanes; columns++) test_unpack(t, rows, columns);
}
