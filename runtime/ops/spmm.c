#include "spmm.h"

#include <stdio.h>
#include <string.h>

#include "quantized.h"

static size_t offset_count(const goss_weights *weights) { return weights->sparse ? weights->blocks : weights->columns; }

size_t goss_spmm_words(const goss_weights *weights)
{
    return offset_count(weights) + (weights->i8 ? goss_rows_words(weights) : 0) + weights->columns;
}

uint32_t *goss_spmm_column_offsets(const goss_weights *weights, uint32_t *words)
{
    return words + goss_spmm_words(weights) - weights->columns;
}

static uint32_t log2_of(uint32_t block_rows)
{
    uint32_t log2 = 0;
    while (block_rows >>= 1) log2++;
    return log2;
}

/* Index into the tables of kernels for i8. */
static size_t i8_size(uint32_t block_rows) { return block_rows == GOSS_QUAD; }

size_t goss_spmm_tile(const goss_layer *layer, const goss_weights *weights)
{
    return weights->i8 ? layer->kernels->pointwise_i8_tile[i8_size(weights->block_rows)]
                       : layer->kernels->pointwise_tile[log2_of(weights->block_rows)];
}

size_t goss_spmm_value_bytes(const goss_weights *weights)
{
    return weights->elements * (weights->i8 ? sizeof(int8_t) : sizeof(float));
}

static void explain(goss_layer *layer, const goss_weights *weights)
{
    const size_t all = weights->all, left = weights->i8 ? 0 : weights->rows % weights->block_rows;
    const uint32_t rows = weights->block_rows, channels = weights->i8 ? GOSS_QUAD : 1;
    const int length =
        weights->sparse
            ? snprintf(layer->reason, sizeof layer->reason, "sparse: %.1f %% zeros skipped in blocks of %ux%u",
                       100.0 * (double)(all - weights->elements) / (double)all, rows, channels)
            : snprintf(layer->reason, sizeof layer->reason, "dense: every %ux%u block is present", rows, channels);
    if (left && weights->rows > left)
        snprintf(layer->reason + length, sizeof layer->reason - (size_t)length, "; the last %zu of %zu rows as 1x1",
                 left, weights->rows);
}

/* ---- Cutting --------------------------------------------------------------------------------------------- */

/* What is left of a matrix: a part that takes all of it. */
typedef struct remainder {
    goss_spmm_part part;
    const uint32_t *counts; /* NULL: dense */
    size_t columns;
} remainder;

static size_t blocks_of(const remainder *rest, size_t lines)
{
    size_t blocks = 0;
    if (!rest->counts) return lines * rest->columns;
    for (size_t line = 0; line < lines; line++) blocks += rest->counts[line];
    return blocks;
}

static void advance_f32(goss_pointwise_f32_args *args, size_t lines, size_t blocks, uint32_t block_rows)
{
    if (args->block_count) args->block_count += lines, args->plane_offset += blocks;
    args->weights += blocks * block_rows;
    args->bias += lines * block_rows;
}

static void advance_i8(goss_matrix_i8_args *args, size_t lines, size_t blocks, uint32_t block_rows)
{
    if (args->block_count) args->block_count += lines, args->plane_offset += blocks;
    args->weights += blocks * block_rows * GOSS_QUAD;
    args->f32_rows = args->f32_rows > lines * block_rows ? args->f32_rows - lines * block_rows : 0;
    args->start += lines * block_rows;
    args->multiplier += lines * block_rows;
    args->bias += lines * block_rows;
}

/* One more part: the first `lines` block rows of what is left. */
static void cut_part(goss_spmm *spmm, remainder *rest, uint32_t block_rows, size_t lines)
{
    if (lines == 0) return;
    goss_spmm_part *part = &spmm->part[spmm->parts++];
    const size_t blocks = blocks_of(rest, lines);
    *part = rest->part;
    part->rows = part->args_i8.rows = lines * block_rows;
    part->args.block_rows = lines;
    if (part->args_i8.f32_rows > part->rows) part->args_i8.f32_rows = part->rows;

    rest->part.first_row += part->rows;
    if (rest->counts) rest->counts += lines;
    if (part->kernel_i8)
        advance_i8(&rest->part.args_i8, lines, blocks, block_rows);
    else
        advance_f32(&rest->part.args, lines, blocks, block_rows);
}

/* How many of the next `lines` block rows hold about `share` blocks; at least 1, and a multiple of `step`, as lines is.
 */
static size_t lines_of_share(const remainder *rest, size_t lines, size_t step, size_t share)
{
    size_t line = step;
    while (line < lines && blocks_of(rest, line) < share) line += step;
    return line;
}

/* The whole blocks in about as many parts as asked for. */
static void cut(goss_spmm *spmm, remainder *rest, const goss_spmm_problem *problem, size_t lines)
{
    const uint32_t block_rows = problem->weights->block_rows;
    const size_t step = problem->weights->i8 ? GOSS_QUAD / block_rows : 1,
                 share = blocks_of(rest, lines) / problem->cuts;
    while (lines > 0) {
        const bool last = spmm->parts + 1 >= problem->cuts;
        const size_t taken = last ? lines : lines_of_share(rest, lines, step, share);
        cut_part(spmm, rest, block_rows, taken);
        lines -= taken;
    }
}

static void plan_f32(const goss_layer *layer, const goss_spmm_problem *problem, const uint32_t *offsets,
                     goss_spmm *spmm)
{
    const goss_weights *weights = problem->weights;
    goss_matrix_kernel *const *kernels =
        problem->fully_connected ? layer->kernels->fully_connected_f32 : layer->kernels->pointwise_f32;
    remainder rest = {.counts = weights->counts, .columns = weights->columns};
    rest.part.activation = problem->activation;
    rest.part.kernel = kernels[log2_of(weights->block_rows)];
    rest.part.args = (goss_pointwise_f32_args){
        .weights = weights->values,
        .bias = problem->bias->values,
        .plane_offset = offsets,
        .block_count = weights->counts,
        .columns = weights->columns,
        .min = problem->min,
        .max = problem->max,
    };
    cut(spmm, &rest, problem, weights->rows / weights->block_rows);
    rest.part.kernel = kernels[0];
    cut_part(spmm, &rest, 1, weights->rows % weights->block_rows);
}

static goss_status plan_i8(const goss_layer *layer, const goss_spmm_problem *problem, const uint32_t *offsets,
                           uint32_t *words, goss_spmm *spmm, goss_error *error)
{
    const goss_weights *weights = problem->weights;
    const goss_value *residual = layer->inputs[3], *y = layer->output;
    const double y_scale = y->dtype == GOSS_DTYPE_U7 ? (double)y->scale : 1;
    const size_t size = i8_size(weights->block_rows);
    float residual_multiplier = 0;
    goss_rows_i8 rows;
    goss_status status = goss_rows_fill(layer, weights, problem->bias, y_scale, words, &rows, error);
    if (!status && residual)
        status = goss_layer_factor(layer, (double)residual->scale, y_scale, &residual_multiplier, error);
    if (status) return status;

    remainder rest = {.counts = weights->counts, .columns = weights->columns};
    rest.part.kernel_i8 =
        problem->fully_connected ? layer->kernels->fully_connected_i8[size] : layer->kernels->pointwise_i8[size];
    rest.part.args_i8 = (goss_matrix_i8_args){
        .weights = weights->quads,
        .plane_offset = offsets,
        .block_count = weights->counts,
        .columns = weights->columns,
        .start = rows.start,
        .multiplier = rows.multiplier,
        .bias = rows.bias,
        .residual_multiplier = residual_multiplier,
        .residual_zero_point = residual ? residual->zero_point : 0,
        .f32_rows = y->dtype == GOSS_DTYPE_F32 ? weights->rows : 0,
        .target = goss_target_of(y, problem->min, problem->max),
    };
    cut(spmm, &rest, problem, weights->padded_rows / weights->block_rows);
    return GOSS_OK;
}

goss_status goss_spmm_plan(goss_layer *layer, const goss_spmm_problem *problem, uint32_t *words, goss_spmm *spmm,
                           goss_error *error)
{
    const goss_weights *weights = problem->weights;
    const uint32_t *column_offset = goss_spmm_column_offsets(weights, words);
    if (weights->sparse)
        for (size_t block = 0; block < weights->blocks; block++)
            words[block] = column_offset[goss_weights_column(weights, block)];
    else
        memcpy(words, column_offset, weights->columns * sizeof *words);
    explain(layer, weights);
    spmm->parts = 0;
    if (weights->i8) return plan_i8(layer, problem, words, words + offset_count(weights), spmm, error);
    plan_f32(layer, problem, words, spmm);
    return GOSS_OK;
}

/* ---- Running --------------------------------------------------------------------------------------------- */

static void run_i8(const goss_spmm_part *part, const float *x, const float *residual, float *y, size_t y_stride,
                   size_t pixels)
{
    goss_matrix_i8_args args = part->args_i8;
    const size_t plane = part->first_row / GOSS_QUAD * y_stride;
    args.x = (const uint8_t *)x;
    args.residual = residual ? (const uint8_t *)(residual + plane) : NULL;
    args.y = (uint8_t *)(y + plane);
    args.y_f32 = args.f32_rows ? y + part->first_row : NULL;
    args.y_stride = y_stride;
    args.pixels = pixels;
    part->kernel_i8(&args);
}

void goss_spmm_run_part(const goss_spmm_part *part, const float *x, const float *residual, float *y, size_t y_stride,
                        size_t pixels)
{
    if (part->kernel_i8) {
        run_i8(part, x, residual, y, y_stride, pixels);
        return;
    }
    goss_pointwise_f32_args args = part->args;
    args.x = x;
    args.residual = residual ? residual + part->first_row * y_stride : NULL;
    args.y = y + part->first_row * y_stride;
    args.y_stride = y_stride;
    args.pixels = pixels;
    part->kernel(&args);
    goss_activate(part->activation, args.y, part->rows, y_stride, pixels);
}

void goss_spmm_run(const goss_spmm *spmm, const float *x, float *y, size_t y_stride, size_t pixels)
{
    for (size_t i = 0; i < spmm->parts; i++) goss_spmm_run_part(&spmm->part[i], x, NULL, y, y_stride, pixels);
}
