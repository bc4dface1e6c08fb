#include "bytes.h"

typedef struct shape {
    size_t size; /* index into the tables: 0 blocks of one row, 1 of four */
    size_t quads, columns, pixels;
    double density; /* share of blocks that are stored; more than 1 = the dense storage */
} shape;

static const char *storage_name(double density)
{
    return density > 1 ? "dense" : density > 0.5 ? "few zeros" : density > 0 ? "many zeros" : "no block";
}

static size_t choose_blocks(test *t, const shape *s, size_t block_rows, uint32_t *block_count, uint32_t *columns)
{
    size_t blocks = 0;
    for (size_t row = 0; row < block_rows; row++) {
        const size_t first = blocks;
        for (uint32_t column = 0; column < s->columns; column++)
            if ((double)random_below(t, 1000) < 1000 * s->density) columns[blocks++] = column;
        block_count[row] = (uint32_t)(blocks - first);
    }
    return blocks;
}

/* All but what is written, and where. `plane_quads` lie between the planes of two columns. */
static goss_matrix_i8_args random_matrix(test *t, const shape *s, size_t plane_quads)
{
    enum { MOST_BLOCKS = 4096 };
    static uint32_t columns[MOST_BLOCKS];
    const bool dense = s->density > 1;
    const size_t rows = s->quads * QUAD, size = s->size ? QUAD : 1, listed = rows / size;
    uint32_t *block_count = input_new(t, listed * sizeof *block_count);
    const size_t blocks = choose_blocks(t, s, listed, block_count, columns);
    const size_t offsets = dense ? s->columns : blocks;
    uint32_t *offset = input_new(t, offsets * sizeof *offset);
    for (size_t i = 0; i < offsets; i++) offset[i] = (uint32_t)(QUAD * (columns[i] * plane_quads + random_below(t, 3)));
    int32_t *start = input_new(t, rows * sizeof *start);
    float *multiplier = input_new(t, rows * sizeof *multiplier), *bias = input_new(t, rows * sizeof *bias);
    for (size_t row = 0; row < rows; row++) {
        start[row] = (int32_t)random_below(t, 2000000) - 1000000;
        multiplier[row] = (random_f32(t) + 1) * 1e-3f;
        bias[row] = 50 * random_f32(t) - (float)start[row] * multiplier[row];
    }
    return (goss_matrix_i8_args){
        .x = input_u7(t, QUAD * (s->columns * plane_quads + 3)),
        .weights = input_i8(t, blocks * size * QUAD),
        .plane_offset = offset,
        .block_count = dense ? NULL : block_count,
        .columns = dense ? s->columns : 0,
        .rows = rows,
        .start = start,
        .multiplier = multiplier,
        .bias = bias,
        .target = random_target(t),
    };
}

static void test_pointwise(test *t, shape s, bool residual)
{
    const size_t size = s.size ? QUAD : 1, y_stride = s.pixels + random_below(t, 3) * t->kernels->lanes;
    case_begin(t, s.size ? "pointwise_i8_4x4" : "pointwise_i8_1x4",
               "quads %zu, columns %zu, pixels %zu, y_stride %zu, %s%s", s.quads, s.columns, s.pixels, y_stride,
               residual ? "residual, " : "", storage_name(s.density));
    goss_matrix_i8_args args = random_matrix(t, &s, s.pixels + 3);
    uint8_t *y = output_new(t, s.quads * y_stride * QUAD);
    args.y = y;
    args.y_stride = y_stride;
    args.pixels = s.pixels;
    args.residual = residual ? input_u7(t, s.quads * y_stride * QUAD) : NULL;
    args.residual_multiplier = random_f32(t);
    args.residual_zero_point = (int32_t)random_below(t, 128);

    RUN_KERNEL(t, pointwise_i8[s.size], &args);
    for (size_t quad = 0; quad < s.quads; quad++) {
        const uint8_t *found = y + quad * y_stride * QUAD;
        for (size_t i = 0; i < s.pixels * QUAD; i++) {
            const float v = reference_matrix_i8(&args, size, quad * QUAD + i % QUAD, i / QUAD);
            expect_byte(t, quad * y_stride * QUAD + i, found[i], reference_round_i8(v, args.target));
        }
        expect_untouched(t, quad * y_stride + s.pixels, (const float *)(const void *)found + s.pixels,
                         y_stride - s.pixels);
    }
    case_end(t);
}

/* Every tile width and what is left after the widest. */
void test_pointwise_i8(test *t)
{
    static const size_t quads[] = {0, 1, 3}, columns[] = {0, 1, 19};
    static const double densities[] = {2, 0.67, 0.1, 0};
    size_t cases = 0;
    for (size_t size = 0; size < GOSS_BLOCK_I8_SIZES; size++)
        for (size_t vectors = 1; vectors <= 9; vectors++)
            for (size_t r = 0; r < 3; r++)
                for (size_t c = 0; c < 3; c++)
                    for (size_t d = 0; d < 4; d++) {
                        const shape s = {size, quads[r], columns[c], vectors * t->kernels->lanes, densities[d]};
                        test_pointwise(t, s, cases++ % 2);
                    }
}

/* f32 results have fewer rows than the matrix, whose last ones are padding. */
static void test_fully_connected(test *t, shape s, bool f32, size_t padding)
{
    const size_t size = s.size ? QUAD : 1, rows = s.quads * QUAD;
    case_begin(t, s.size ? "fully_connected_i8_4x4" : "fully_connected_i8_1x4", "quads %zu, columns %zu, %s%s", s.quads,
               s.columns, f32 ? "to f32, " : "", storage_name(s.density));
    goss_matrix_i8_args args = random_matrix(t, &s, 1);
    args.f32_rows = rows < padding ? 0 : rows - padding;
    uint8_t *y = output_new(t, f32 ? 0 : rows);
    float *y_f32 = output_new(t, f32 ? args.f32_rows * sizeof *y_f32 : 0);
    args.y = y;
    args.y_f32 = f32 ? y_f32 : NULL;

    RUN_KERNEL(t, fully_connected_i8[s.size], &args);
    for (size_t row = 0; row < (f32 ? args.f32_rows : rows); row++) {
        const float v = reference_matrix_i8(&args, size, row, 0);
        if (f32)
            expect_same(t, row, y_f32[row], reference_clamp_i8(v, args.target));
        else
            expect_byte(t, row, y[row], reference_round_i8(v, args.target));
    }
    case_end(t);
}

void test_fully_connected_i8(test *t)
{
    static const double densities[] = {2, 0.67, 0.1, 0};
    size_t cases = 0;
    for (size_t size = 0; size < GOSS_BLOCK_I8_SIZES; size++)
        for (size_t quads = 0; quads < 4; quads++)
            for (size_t columns = 0; columns <= 40; columns += columns < 4 ? 1 : 7)
                for (size_t d = 0; d < 4; d++, cases++)
                    test_fully_connected(t, (shape){size, quads, columns, 1, densities[d]}, cases % 2, cases / 2 % 4);
}
