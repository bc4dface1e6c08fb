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
    };
    RUN_KERNEL(t, pack_f32, &args);
    for (size_t phase = 0; phase < y.stride * x.stride; phase++)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) {
                const size_t row = coordinate(y, phase / x.stride, r), column = coordinate(x, phase % x.stride, c);
                const size_t index = phase * phase_floats + r * columns + c;
                const bool inside = row < y.in && column < x.in; /* before the plane the difference wraps around */
                expect_same(t, index, found[index], inside ? plane[row * x.in + column] : 0);
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
    for (size_t rows = 0; rows < 4; rows++)
        for (size_t columns = 1; columns < 3 * t->kernels->lanes; columns++) test_unpack(t, rows, columns);
}
