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

/* Block rows of one size; none is no segment. */
static void add_segment(goss_spmm *spmm, const goss_layer *layer, uint32_t rows, size_t first_row,
                        goss_pointwise_f32_args args)
{
    if (args.block_rows == 0) return;
    spmm->kernel[spmm->segments] = layer->kernels->pointwise_f32[log2_of(rows)];
    spmm->first_row[spmm->segments] = first_row;
    spmm->args[spmm->segments++] = args;
}

static void explain(goss_layer *layer, const goss_weights *weights)
{
    const size_t all = weights->rows * weights->columns, left = weights->rows % weights->block_rows;
    const int length =
        weights->sparse
            ? snprintf(layer->reason, sizeof layer->reason, "sparse: %.1f %% zeros skipped in blocks of %ux1",
                       100.0 * (double)(all - weights->elements) / (double)all, weights->block_rows)
            : snprintf(layer->reason, sizeof layer->reason, "dense: every %ux1 block is present", weights->block_rows);
    if (left && weights->rows > left)
        snprintf(layer->reason + length, sizeof layer->reason - (size_t)length, "; the last %zu of %zu rows as 1x1",
                 left, weights->rows);
}

void goss_spmm_plan(goss_layer *layer, const goss_weights *weights, const goss_weights *bias, float min, float max,
                    const uint32_t *column_offset, uint32_t *offsets, goss_spmm *spmm)
{
    const size_t whole = weights->rows / weights->block_rows, left = weights->rows % weights->block_rows;
    size_t whole_blocks = 0; /* stored in whole block rows */

    if (weights->sparse) {
        for (size_t row = 0; row < whole; row++) whole_blocks += weights->counts[row];
        for (size_t block = 0; block < weights->blocks; block++)
            offsets[block] = column_offset[goss_weights_column(weights, block)];
    } else {
        whole_blocks = whole * weights->columns;
        memcpy(offsets, column_offset, weights->columns * sizeof *offsets);
    }

    goss_pointwise_f32_args args = {
        .weights = weights->values,
        .bias = bias->values,
        .plane_offset = offsets,
        .block_count = weights->counts,
        .columns = weights->columns,
        .block_rows = whole,
        .min = min,
        .max = max,
    };
    spmm->segments = 0;
    add_segment(spmm, layer, weights->block_rows, 0, args);

    args.weights += whole_blocks * weights->block_rows;
    args.bias += whole * weights->block_rows;
    args.block_rows = left;
    if (weights->sparse) {
        args.plane_offset += whole_blocks;
        args.block_count += whole;
    }
    add_segment(spmm, layer, 1, whole * weights->block_rows, args);
    explain(layer, weights);
}

void goss_spmm_run(const goss_spmm *spmm, const float *x, float *y, size_t y_stride, size_t pixels)
{
    for (uint32_t i = 0; i < spmm->segments; i++) {
        goss_pointwise_f32_args args = spmm->args[i];
        args.x = x;
        args.y = y + spmm->first_row[i] * y_stride;
        args.y_stride = y_stride;
        args.pixels = pixels;
        spmm->kernel[i](&args);
    }
}
