/* Everything behind the first dimension in one: planes lose their padding. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "move_i8.h"

static void run(const goss_layer *layer)
{
    const goss_value *x = layer->inputs[0];
    float *y = layer->output->data;
    for (size_t plane = 0; plane < x->images * x->channels; plane++, y += x->pixels)
        memmove(y, x->data + plane * x->stride, x->pixels * sizeof *y);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const bool quantized = goss_layer_is_quantized(layer);
    const goss_status status =
        quantized ? goss_layer_need_same_scale(layer, error) : goss_layer_need_f32(layer, 1, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    layer->run = quantized ? goss_reshape_i8_run : run;
    layer->in_place = !quantized;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, quantized ? "copy_i8" : "copy");
    const uint32_t dims[2] = {x->dims[0], (uint32_t)(x->channels * x->pixels)};
    return goss_value_set_shape(layer->output, 2, dims, layer->kernels->lanes, error);
}

const goss_op goss_op_flatten = {
    .name = "flatten", .code = 7, .inputs = 1, .attributes = 0, .quantized = true, .plan = plan};
