/* What the kinds of convolution share. conv.c picks one of them. */
#ifndef GOSS_CONV_H
#define GOSS_CONV_H

#include "activation.h"

/* FORMAT.md section 8, operators 1 and 10, with the shapes it was checked against. */
typedef struct goss_conv {
    uint32_t stride_y, stride_x, pad_top, pad_left, pad_bottom, pad_right, dilation_y, dilation_x, groups;
    uint32_t kernel_y, kernel_x;
    uint32_t channels, in_y, in_x, out_y, out_x;
    float min, max;
    goss_activation activation; /* behind the clamp */
    const goss_value *x;        /* [N,C,H,W]; with a normalization [N,H,W,C] */
    const goss_weights *weights, *bias;
    const goss_weights *normalization; /* [2,C]: mean and scale of interleaved pixels; or NULL */
    const goss_value *residual;        /* like the output, added to it before the clamp; or NULL */
} goss_conv;

/* 1x1, stride 1, no padding: weights times the input planes as they are. The only kind that takes a residual. */
goss_status goss_conv_pointwise_plan(goss_layer *layer, const goss_conv *conv, goss_error *error);

/* One filter an output channel over one input channel, with any stride, dilation and padding. */
goss_status goss_conv_depthwise_plan(goss_layer *layer, const goss_conv *conv, goss_error *error);

/* The same where goss_conv_depthwise_is_square(), without packing. */
bool goss_conv_depthwise_is_square(const goss_conv *conv);
goss_status goss_conv_depthwise_square_plan(goss_layer *layer, const goss_conv *conv, goss_error *error);

/* The same of quantized planes, for every stride, dilation and padding. */
goss_status goss_conv_depthwise_i8_plan(goss_layer *layer, const goss_conv *conv, goss_error *error);

/* Everything else: weights times packed planes (pack.h). */
goss_status goss_conv_packed_plan(goss_layer *layer, const goss_conv *conv, goss_error *error);

#endif
