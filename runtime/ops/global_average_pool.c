/* Mean over each channel's pixels. */
#include <stdio.h>

#include "error.h"
#include "op.h"

static void run(const goss_layer *layer)
{
    const goss_value *x = layer->inputs[0], *y = layer->output;
    layer->kernels->global_average_pool_f32(&(goss_global_average_pool_f32_args){
        .x = x->data,
        .y = y->data,
        .channels = x->images * x->channels,
        .pixels = x->pixels,
        .x_stride = x->stride,
        .y_stride = y->stride,
    });
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const uint32_t keep_dims = goss_layer_u32(layer, 0);
    if (x->rank != 4 || keep_dims > 1)
        return goss_fail(error, GOSS_MODEL_CORRUPT,
                         "node '%.60s' (global_average_pool): rank %u, keep_dims %u; rank 4, keep_dims 0 or 1 expected",
                         layer->name, x->rank, keep_dims);
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "global_average_pool_f32");
    const uint32_t dims[4] = {x->dims[0], x->dims[1], 1, 1};
    return goss_value_set_shape(layer->output, keep_dims ? 4 : 2, dims, layer->kernels->lanes, error);
}

const goss_op goss_op_global_average_pool = {
    .name = "global_average_pool", .code = 3, .inputs = 1, .attributes = 1, .plan = plan};
