/* Softmax over the channels of each image. */
#include <stdio.h>

#include "error.h"
#include "op.h"

static void run(const goss_layer *layer)
{
    const goss_value *x = layer->inputs[0], *y = layer->output;
    for (size_t image = 0; image < x->images; image++)
        layer->kernels->softmax_f32(&(goss_softmax_f32_args){
            .x = x->data + image * x->channels,
            .y = y->data + image * y->channels,
            .count = x->channels,
        });
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    if (x->rank != 2)
        return goss_fail(error, GOSS_MODEL_CORRUPT, "node '%.60s' (softmax): rank %u, 2 expected", layer->name,
                         x->rank);
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "softmax_f32");
    return goss_value_set_shape(layer->output, 2, x->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_softmax = {.name = "softmax", .code = 6, .inputs = 1, .attributes = 0, .plan = plan};
