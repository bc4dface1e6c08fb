/* What the kernels of i8 compute, to the bit (FORMAT.md section 9): exact sums in 64 bits, then f32 step by step. */
#ifndef GOSS_TEST_REFERENCE_I8_H
#define GOSS_TEST_REFERENCE_I8_H

#include "kernels.h"

/* Before it is clamped and rounded. `block_rows` is 4 or 1. */
float reference_matrix_i8(const goss_matrix_i8_args *a, size_t block_rows, size_t row, size_t pixel);

uint8_t reference_round_i8(float v, goss_target_i8 target);
float reference_clamp_i8(float v, goss_target_i8 target);

/* Of channel 0 to 3 of the quad. */
uint8_t reference_depthwise_i8(const goss_depthwise_i8_args *a, size_t row, size_t column, size_t channel);
uint8_t reference_max_pool_i8(const goss_max_pool_i8_args *a, size_t row, size_t column, size_t channel);
uint8_t reference_global_average_pool_i8(const goss_global_average_pool_i8_args *a, size_t channel);

/* Byte by byte. */
uint8_t reference_add_i8(const goss_add_i8_args *args, uint8_t a, uint8_t b);
uint8_t reference_multiply_i8(const goss_multiply_i8_args *args, uint8_t a, uint8_t b);

#endif
