#include "families.h"

typedef struct shape {
    size_t size; /* index into goss_kernels.fully_connected_f32: blocks of 2^size rows */
    size_t block_rows, columns;
    uint32_t zeros_percent; /* of blocks */
    bool dense;             /* the storage */
} shape;

static void test_shape(test *t, shape s, range clamp)
{
    static const char *const names[GOSS_BLOCK_ROW_SIZES] = {"fully_connected_f32_1x1", "fully_connected_f32_2x1",
                                                            "fully_connected_f32_4x1", "fully_connected_f32_8x1"};
    const size_t size = (size_t)1 << s.size, rows = s.block_rows * size;
    case_begin(t, names[s.size], "block_rows %zu, columns %zu, %s, %u %% zeros, clamp %g to %g", s.block_rows,
               s.columns, s.dense ? "dense" : "sparse", s.zeros_percent, (double)clamp.min, (double)clamp.max);

    uint32_t *block_count = input_new(t, s.block_rows * sizeof *block_count);
    size_t blocks = 0;
    for (size_t row = 0; row < s.block_rows; row++) {
        block_count[row] = 0;
        for (size_t c = 0; c < s.columns; c++) block_count[row] += random_below(t, 100) >= s.zeros_percent;
        blocks += block_count[row];
    }
    const size_t offsets = s.dense ? s.columns : blocks;
    uint32_t *offset = input_new(t, offsets * sizeof *offset);
    for (size_t i = 0; i < offsets; i++)
        offset[i] = (uint32_t)sizeof(float) * (s.dense ? (uint32_t)i : random_below(t, (uint32_t)s.columns));

    float *y = output_new(t, rows * sizeof *y);
    const goss_pointwise_f32_args args = {
        .x = input_random(t, s.columns),
        .weights = input_random(t, blocks * size),
        .bias = input_random(t, rows),
        .plane_offset = offset,
        .block_count = s.dense ? NULL : block_count,
        .columns = s.dense ? s.columns : 0,
        .y = y,
        .y_stride = 1,
        .pixels = 1,
        .block_rows = s.block_rows,
        .min = clamp.min,
        .max = clamp.max,
    };
    RUN_KERNEL(t, fully_connected_f32[s.size], &args);
    for (size_t row = 0; row < rows; row++) expect_close(t, row, y[row], reference_pointwise_f32(&args, size, row, 0));
    case_end(t);
}

/* Columns around every number of blocks that a kernel takes at a time. */
void test_fully_connected_f32(test *t)
{
    static const size_t block_rows[] = {0, 1, 3, 10, 101}, columns[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 130, 1001};
    static const uint32_t zeros_percent[] = {0, 33, 90, 100};
    size_t cases = 0;
    for (size_t size = 0; size < GOSS_BLOCK_ROW_SIZES; size++)
        for (size_t r = 0; r < sizeof block_rows / sizeof *block_rows; r++)
            for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
                test_shape(t, (shape){size, block_rows[r], columns[c], 0, true}, clamps[cases++ % CLAMPS]);
                for (size_t z = 0; z < 4; z++)
                    test_shape(t, (shape){size, block_rows[r], columns[c], zeros_percent[z], false},
                               clamps[cases++ % CLAMPS]);
            }
}
