/* The tests of every kernel family, one file each. */
#ifndef GOSS_TEST_FAMILIES_H
#define GOSS_TEST_FAMILIES_H

#include <math.h>

#include "harness.h"

void test_pointwise_f32(test *t);
void test_pack_f32(test *t);
void test_depthwise_f32(test *t);
void test_depthwise_square_f32(test *t);
void test_fully_connected_f32(test *t);
void test_global_average_pool_f32(test *t);
void test_pool_f32(test *t);
void test_elementwise_f32(test *t);
void test_curves_f32(test *t);
void test_all_finite_f32(test *t);
void test_softmax_f32(test *t);
void test_multiply_adds_f32(test *t);
void test_pointwise_i8(test *t);
void test_fully_connected_i8(test *t);
void test_depthwise_i8(test *t);
void test_pool_i8(test *t);
void test_elementwise_i8(test *t);
void test_quantize_i8(test *t);

/* The clamps that models have: none, ReLU, ReLU6. */
typedef struct range {
    float min, max;
} range;
enum { CLAMPS = 3 };
static const range clamps[CLAMPS] = {{-INFINITY, INFINITY}, {0, INFINITY}, {0, 6}};

#endif
