/* Windows that slide over planes: what pooling of f32 and of quantized tensors share. */
#ifndef GOSS_POOL_WINDOW_H
#define GOSS_POOL_WINDOW_H

#include "op.h"

/* A window along one axis: 0 the rows, 1 the columns. */
typedef struct goss_pool_axis {
    size_t in, out, kernel, stride, pad_before, pad_after, dilation;
    int64_t counted_before, counted_end; /* an average counts pixels from -counted_before to counted_end */
} goss_pool_axis;

/* How many of the pixels of window `index` count. */
int64_t goss_pool_counted(const goss_pool_axis *axis, size_t index);

/* Plans a layer whose input is u7 and whose output has its shape. */
goss_status goss_pool_i8_plan(goss_layer *layer, bool average, const goss_pool_axis *y, const goss_pool_axis *x,
                              goss_error *error);

#endif
