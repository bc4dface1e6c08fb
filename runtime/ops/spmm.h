/* Weights x planes: the heart of every convolution that mixes channels, and of fully connected layers, whose planes are
 * single numbers.
 *
 * A weight matrix is cut into parts, runs of block rows of one size with about as much work each; a part is one call of
 * a kernel, and parts may run at the same time. Values and counts stay in the model file; only columns become
 * byte offsets. */
#ifndef GOSS_SPMM_H
#define GOSS_SPMM_H

#include "activation.h"

enum {
    GOSS_SPMM_CUTS = 16,                  /* most parts of the whole blocks */
    GOSS_SPMM_PARTS = GOSS_SPMM_CUTS + 1, /* and one of the rows left over */
};

typedef struct goss_spmm_part {
    goss_matrix_kernel *kernel;
    goss_pointwise_f32_args args; /* all but x, y, residual, y_stride, pixels */
    size_t first_row, rows;
    goss_activation_kernel *activation; /* or NULL */
} goss_spmm_part;

typedef struct goss_spmm {
    size_t parts;
    goss_spmm_part part[GOSS_SPMM_PARTS];
} goss_spmm;

/* Offsets that goss_spmm_plan() will store. */
size_t goss_spmm_offset_count(const goss_weights *weights);

/* Pixels that a kernel takes at a time. */
size_t goss_spmm_tile(const goss_layer *layer, const goss_weights *weights);

/* Fills spmm and names the reason in the layer.
 *
 * @param kernels        pointwise_f32 or fully_connected_f32 of the layer's table
 * @param activation     of what the kernels leave; or NULL
 * @param cuts           how many parts the whole blocks become, 1 to GOSS_SPMM_CUTS; fewer when there are fewer rows
 * @param column_offset  [weights->columns]  byte offset of each column's plane
 * @param offsets        receives goss_spmm_offset_count() entries; lives as long as spmm */
void goss_spmm_plan(goss_layer *layer, goss_matrix_kernel *const *kernels, const goss_weights *weights,
                    const goss_weights *bias, float min, float max, goss_activation_kernel *activation, size_t cuts,
                    const uint32_t *column_offset, uint32_t *offsets, goss_spmm *spmm);

/* The rows of one part: y [rows][y_stride] = activation(clamp(weights * x + bias + residual)) for `pixels` pixels, a
 * multiple of the vector. y and residual are those of row 0; residual is laid out like y, or NULL. */
void goss_spmm_run_part(const goss_spmm_part *part, const float *x, const float *residual, float *y, size_t y_stride,
                        size_t pixels);

/* All parts, one after the other, without a residual. */
void goss_spmm_run(const goss_spmm *spmm, const float *x, float *y, size_t y_stride, size_t pixels);

#endif
