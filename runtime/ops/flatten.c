/* Everything behind the first dimension in one: planes lose their padding. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "op.h"

static void run(const goss_layer *layer)
{
    const goss_value *x = layer->inputs[0];
    float *y = layer->output->data;
    for (size_t plane = 0; plane < x->images * x->channels; plane++, y += x->pixels)
        memmove(y, x->data + plane * x->stride, x->pixels * sizeof *y);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    layer->run = run;
    layer->in_place = true;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "copy");
    const uint32_t dims[2] = {x->dims[0], (uint32_t)(x->channels * x->pixels)};
    return goss_value_set_shape(layer->output, 2, dims, layer->kernels->lanes, error);
}

const goss_op goss_op_flatten = {.name = "flatten", .code = 7, .inputs = 1, .attributes = 0, .plan = plan};
