#include "families.h"

typedef struct shape {
    size_t size; /* index into goss_kernels.pointwise_f32: blocks of 2^size rows */
    size_t block_rows, columns, pixels;
    double density; /* share of blocks that are stored; more than 1 = the dense storage */
} shape;

/* Planes that start at any multiple of 4 bytes, as the kernel positions of a packed k x k convolution do. */
static const uint32_t *plane_offsets(test *t, const uint32_t *columns, size_t count, size_t plane_floats)
{
    uint32_t *offset = input_new(t, count * sizeof *offset);
    for (size_t i = 0; i < count; i++)
        offset[i] = (uint32_t)(sizeof(float) * (columns[i] * plane_floats + random_below(t, 4)));
    return offset;
}

/* Chooses the stored blocks: their number in each block row, their columns one after the other. */
static size_t choose_blocks(test *t, const shape *s, uint32_t *block_count, uint32_t *columns)
{
    size_t blocks = 0;
    for (size_t row = 0; row < s->block_rows; row++) {
        const size_t first = blocks;
        for (uint32_t column = 0; column < s->columns; column++)
            if ((double)random_below(t, 1000) < 1000 * s->density) columns[blocks++] = column;
        block_count[row] = (uint32_t)(blocks - first);
    }
    return blocks;
}

static void test_shape(test *t, shape s, bool residual, range clamp)
{
    static const char *const names[GOSS_BLOCK_ROW_SIZES] = {"pointwise_f32_1x1", "pointwise_f32_2x1",
                                                            "pointwise_f32_4x1", "pointwise_f32_8x1"};
    enum { MOST_BLOCKS = 256, MOST_COLUMNS = 64 };
    const bool dense = s.density > 1;
    const size_t size = (size_t)1 << s.size, rows = s.block_rows * size;
    const size_t plane_floats = s.pixels + 3, y_stride = s.pixels + random_below(t, 3) * t->kernels->lanes;
    case_begin(t, names[s.size], "block_rows %zu, columns %zu, pixels %zu, y_stride %zu, %s%s, clamp %g to %g",
               s.block_rows, s.columns, s.pixels, y_stride, residual ? "residual, " : "",
               dense             ? "dense"
               : s.density > 0.5 ? "few zeros"
               : s.density > 0   ? "many zeros"
                                 : "no block",
               (double)clamp.min, (double)clamp.max);

    uint32_t columns[MOST_BLOCKS];
    uint32_t *block_count = input_new(t, s.block_rows * sizeof *block_count);
    const size_t blocks = choose_blocks(t, &s, block_count, columns);
    float *y = output_new(t, rows * y_stride * sizeof *y);
    const goss_pointwise_f32_args args = {
        .x = input_random(t, s.columns * plane_floats),
        .weights = input_random(t, blocks * size),
        .bias = input_random(t, rows),
        .plane_offset = plane_offsets(t, columns, dense ? s.columns : blocks, plane_floats),
        .block_count = dense ? NULL : block_count,
        .columns = dense ? s.columns : 0,
        .residual = residual ? input_random(t, rows * y_stride) : NULL,
        .y = y,
        .y_stride = y_stride,
        .pixels = s.pixels,
        .block_rows = s.block_rows,
        .min = clamp.min,
        .max = clamp.max,
    };

    RUN_KERNEL(t, pointwise_f32[s.size], &args);
    for (size_t row = 0; row < rows; row++) {
        const float *found = y + row * y_stride;
        for (size_t pixel = 0; pixel < s.pixels; pixel++)
            expect_close(t, row * y_stride + pixel, found[pixel], reference_pointwise_f32(&args, size, row, pixel));
        expect_untouched(t, row * y_stride + s.pixels, found + s.pixels, y_stride - s.pixels);
    }
    case_end(t);
}

/* Every tile width and what is left after the widest: 1 to 17 vectors of pixels. */
void test_pointwise_f32(test *t)
{
    static const size_t block_rows[] = {0, 1, 2, 5}, columns[] = {0, 1, 2, 19};
    static const double densities[] = {2, 0.67, 0.1, 0};
    size_t cases = 0;
    for (size_t size = 0; size < GOSS_BLOCK_ROW_SIZES; size++)
        for (size_t vectors = 1; vectors <= 17; vectors++)
            for (size_t r = 0; r < 4; r++)
                for (size_t c = 0; c < 4; c++)
                    for (size_t d = 0; d < 4; d++) {
                        const shape s = {size, block_rows[r], columns[c], vectors * t->kernels->lanes, densities[d]};
                        test_shape(t, s, cases / CLAMPS % 2, clamps[cases % CLAMPS]);
                        cases++;
                    }
}
