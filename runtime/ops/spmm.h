/* Weights x planes: the heart of every convolution that mixes channels.
 *
 * A weight matrix becomes one or two segments, whole blocks first, then the rows left over as blocks of one; a segment
 * is one call of a pointwise kernel. Values and counts stay in the model file; only columns become byte offsets. */
#ifndef GOSS_SPMM_H
#define GOSS_SPMM_H

#include "op.h"

enum { GOSS_SPMM_SEGMENTS = 2 };

typedef struct goss_spmm {
    uint32_t segments;
    void (*kernel[GOSS_SPMM_SEGMENTS])(const goss_pointwise_f32_args *);
    goss_pointwise_f32_args args[GOSS_SPMM_SEGMENTS]; /* all but x, y, y_stride, pixels */
    size_t first_row[GOSS_SPMM_SEGMENTS];
} goss_spmm;

/* Offsets that goss_spmm_plan() will store. */
size_t goss_spmm_offset_count(const goss_weights *weights);

/* Fills spmm and names the kernel and the reason in the layer.
 *
 * @param column_offset  [weights->columns]  byte offset of each column's plane
 * @param offsets        receives goss_spmm_offset_count() entries; lives as long as spmm */
void goss_spmm_plan(goss_layer *layer, const goss_weights *weights, const goss_weights *bias, float min, float max,
                    const uint32_t *column_offset, uint32_t *offsets, goss_spmm *spmm);

/* y [rows][y_stride] = clamp(weights * x + bias) for `pixels` pixels, a multiple of the vector. */
void goss_spmm_run(const goss_spmm *spmm, const float *x, float *y, size_t y_stride, size_t pixels);

#endif
