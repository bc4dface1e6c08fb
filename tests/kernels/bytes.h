/* What the tests of i8 kernels use besides harness.h. */
#ifndef GOSS_TEST_BYTES_H
#define GOSS_TEST_BYTES_H

#include "families.h"
#include "reference_i8.h"

enum { QUAD = 4 };

/* Bytes from 0 to 127, and weights from -127 to 127; the ends are frequent. As input_new() places them. */
uint8_t *input_u7(test *t, size_t count);
int8_t *input_i8(test *t, size_t count);

/* Of every kind that models have: narrow and wide, any zero point. */
goss_target_i8 random_target(test *t);

void expect_byte(test *t, size_t index, uint8_t found, uint8_t expected);

#endif
