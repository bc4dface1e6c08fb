/* What operators of f32 hand over when their inputs, both checked, are u7. */
#ifndef GOSS_ELEMENTWISE_I8_H
#define GOSS_ELEMENTWISE_I8_H

#include "quantized.h"

/* Of tensors of one shape. */
goss_status goss_add_i8_plan(goss_layer *layer, goss_error *error);

/* The same, or with one number of input 1 for each channel. */
goss_status goss_multiply_i8_plan(goss_layer *layer, bool same, goss_error *error);

#endif
