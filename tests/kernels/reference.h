/* What the kernels compute, as plain loops in double precision: one result at a time, no tiles, no vectors. The
 * arguments are the kernels' own (kernels.h). */
#ifndef GOSS_TEST_REFERENCE_H
#define GOSS_TEST_REFERENCE_H

#include "kernels.h"

typedef struct reference {
    double value;
    double bound; /* how far rounding to f32, in any order of summation, may lead from value */
} reference;

reference reference_pointwise_f32(const goss_pointwise_f32_args *a, size_t block_rows, size_t row, size_t pixel);
reference reference_depthwise_f32(const goss_depthwise_f32_args *a, size_t row, size_t column);
reference reference_depthwise_square_f32(const goss_depthwise_square_f32_args *a, size_t row, size_t column);
reference reference_global_average_pool_f32(const goss_global_average_pool_f32_args *a, size_t channel);
float reference_max_pool_f32(const goss_pool_f32_args *a, size_t row, size_t column);
reference reference_average_pool_f32(const goss_pool_f32_args *a, size_t row, size_t column);
reference reference_add_f32(float a, float b, float min, float max);
reference reference_multiply_f32(float a, float b);
reference reference_sigmoid_f32(float x);
reference reference_silu_f32(float x);

reference reference_hard_swish_f32(float x);
reference reference_tanh_f32(float x);
reference reference_elu_f32(float x);
reference reference_softplus_f32(float x);
reference reference_mish_f32(float x);
reference reference_erf_f32(float x);
reference reference_gelu_f32(float x);
reference reference_gelu_tanh_f32(float x);
reference reference_leaky_relu_f32(float x, float slope);

/* What all results of a softmax share. */
typedef struct softmax_row {
    double largest, sum; /* of x; of e^(x - largest) */
    size_t count;
} softmax_row;

softmax_row reference_softmax_row(const float *x, size_t count);
reference reference_softmax_f32(softmax_row row, float x);

#endif
