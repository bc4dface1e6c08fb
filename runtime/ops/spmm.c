#include "spmm.h"

#include <stdio.h>
#include <string.h>

size_t goss_spmm_offset_count(const goss_weights *weights)
{
    return weights->sparse ? weights->blocks : weights->columns;
}

static uint32_t log2_of(uint32_t block_rows)
{
    uint32_t log2 = 0;
    while (block_rows >>= 1) log2++;
    return log2;
}

size_t goss_spmm_tile(const goss_layer *layer, const goss_weights *weights)
{
    return layer->kernels->pointwise_tile[log2_of(weights->block_rows)];
}

static void explain(goss_layer *layer, const goss_weights *weights)
{
    const size_t all = weights->all, left = weights->rows % weights->block_rows;
    const int length =
        weights->sparse
            ? snprintf(layer->reason, sizeof layer->reason, "sparse: %.1f %% zeros skipped in blocks of %ux1",
                       100.0 * (double)(all - weights->elements) / (double)all, weights->block_rows)
            : snprintf(layer->reason, sizeof layer->reason, "dense: every %ux1 block is present", weights->block_rows);
    if (left && weights->rows > left)
        snprintf(layer->reason + length, sizeof layer->reason - (size_t)length, "; the last %zu of %zu rows as 1x1",
                 left, weights->rows);
}

/* One more part: the first `block_rows` block rows of what `rest` describes. Moves `rest` behind them. */
static void cut_part(goss_spmm *spmm, goss_matrix_kernel *const *kernels, goss_activation_kernel *activation,
                     uint32_t rows, size_t block_rows, size_t *first_row, goss_pointwise_f32_args *rest)
{
    if (block_rows == 0) return;
    goss_spmm_part *part = &spmm->part[spmm->parts++];
    *part = (goss_spmm_part){
        .kernel = kernels[log2_of(rows)],
        .args = *rest,
        .first_row = *first_row,
        .rows = block_rows * rows,
        .activation = activation,
    };
    part->args.block_rows = block_rows;

    size_t blocks = block_rows * rest->columns;
    if (rest->block_count) {
        blocks = 0;
        for (size_t row = 0; row < block_rows; row++) blocks += rest->block_count[row];
        rest->block_count += block_rows;
        rest->plane_offset += blocks;
    }
    rest->weights += blocks * rows;
    rest->bias += block_rows * rows;
    rest->block_rows -= block_rows;
    *first_row += part->rows;
}

/* How many of the next block rows hold about `share` blocks; at least 1. */
static size_t rows_of_share(const goss_pointwise_f32_args *rest, size_t share)
{
    size_t blocks = 0, row = 0;
    while (row < rest->block_rows && (row == 0 || blocks < share))
        blocks += rest->block_count ? rest->block_count[row++] : (row++, rest->columns);
    return row;
}

void goss_spmm_plan(goss_layer *layer, goss_matrix_kernel *const *kernels, const goss_weights *weights,
                    const goss_weights *bias, float min, float max, goss_activation_kernel *activation, size_t cuts,
                    const uint32_t *column_offset, uint32_t *offsets, goss_spmm *spmm)
{
    const size_t whole = weights->rows / weights->block_rows, left = weights->rows % weights->block_rows;
    if (weights->sparse)
        for (size_t block = 0; block < weights->blocks; block++)
            offsets[block] = column_offset[goss_weights_column(weights, block)];
    else
        memcpy(offsets, column_offset, weights->columns * sizeof *offsets);

    goss_pointwise_f32_args rest = {
        .weights = weights->values,
        .bias = bias->values,
        .plane_offset = offsets,
        .block_count = weights->counts,
        .columns = weights->columns,
        .block_rows = whole,
        .min = min,
        .max = max,
    };
    size_t first_row = 0;
    spmm->parts = 0;
    const size_t share = (weights->sparse ? weights->blocks : whole * weights->columns) / cuts;
    while (rest.block_rows > 0) {
        const bool last = spmm->parts + 1 >= cuts;
        const size_t rows = last ? rest.block_rows : rows_of_share(&rest, share);
        cut_part(spmm, kernels, activation, weights->block_rows, rows, &first_row, &rest);
    }
    rest.block_rows = left;
    cut_part(spmm, kernels, activation, 1, left, &first_row, &rest);
    explain(layer, weights);
}

void goss_spmm_run_part(const goss_spmm_part *part, const float *x, const float *residual, float *y, size_t y_stride,
                        size_t pixels)
{
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
