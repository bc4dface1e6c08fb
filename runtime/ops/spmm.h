/* Weights x planes: the heart of every convolution that mixes channels, and of fully connected layers, whose planes are
 * single numbers.
 *
 * A weight matrix is cut into parts, runs of block rows of one size with about as much work each; a part is one call of
 * a kernel, and parts may run at the same time. Values and counts stay in the model file; only columns become
 * byte offsets. Quantized layers are the same with planes of quads. */
#ifndef GOSS_SPMM_H
#define GOSS_SPMM_H

#include "activation.h"

enum {
    GOSS_SPMM_CUTS = 16,                  /* most parts of the whole blocks */
    GOSS_SPMM_PARTS = GOSS_SPMM_CUTS + 1, /* and one of the rows left over */
};

typedef struct goss_spmm_part {
    size_t first_row, rows;
    goss_matrix_kernel *kernel;
    goss_pointwise_f32_args args; /* all but x, y, residual, y_stride, pixels */
    goss_activation_kernel *activation;
    goss_matrix_i8_kernel *kernel_i8; /* in place of those; or NULL */
    goss_matrix_i8_args args_i8;
} goss_spmm_part;

typedef struct goss_spmm {
    size_t parts;
    goss_spmm_part part[GOSS_SPMM_PARTS];
} goss_spmm;

/* What is to be computed, of a layer whose planes are its input 0. */
typedef struct goss_spmm_problem {
    bool fully_connected;
    const goss_weights *weights, *bias;
    float min, max;
    goss_activation_kernel *activation; /* of what the kernels leave; or NULL */
    size_t cuts; /* how many parts the whole blocks become, 1 to GOSS_SPMM_CUTS; fewer when there are fewer rows */
} goss_spmm_problem;

/* Memory that goss_spmm_plan() fills, in words; the last weights->columns of them are the caller's to fill before, with
 * the byte offset of each column's plane. */
size_t goss_spmm_words(const goss_weights *weights);
uint32_t *goss_spmm_column_offsets(const goss_weights *weights, uint32_t *words);

/* Pixels that a kernel takes at a time. */
size_t goss_spmm_tile(const goss_layer *layer, const goss_weights *weights);

/* Bytes of the stored values. */
size_t goss_spmm_value_bytes(const goss_weights *weights);

/* Fills spmm, for as long as `words` live, and names the reason in the layer. */
goss_status goss_spmm_plan(goss_layer *layer, const goss_spmm_problem *problem, uint32_t *words, goss_spmm *spmm,
                           goss_error *error);

/* The rows of one part: y [planes][y_stride] = activation(clamp(weights * x + bias + residual)) for `pixels` pixels, a
 * multiple of the vector. y and residual are those of row 0; residual is laid out like y, or NULL. */
void goss_spmm_run_part(const goss_spmm_part *part, const float *x, const float *residual, float *y, size_t y_stride,
                        size_t pixels);

/* All parts, one after the other, without a residual. */
void goss_spmm_run(const goss_spmm *spmm, const float *x, float *y, size_t y_stride, size_t pixels);

#endif
