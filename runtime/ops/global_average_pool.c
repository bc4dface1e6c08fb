/* Mean over each channel's pixels. */
#include <math.h>
#include <stdio.h>

#include "quantized.h"

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

static void run_i8(const goss_layer *layer)
{
    const goss_value *x = layer->inputs[0], *y = layer->output;
    goss_global_average_pool_i8_args args = *(const goss_global_average_pool_i8_args *)layer->state;
    for (size_t plane = 0; plane < x->images * x->planes; plane++) {
        args.x = goss_bytes(x) + plane * x->stride * GOSS_QUAD;
        args.y = goss_bytes(y) + plane * y->stride * GOSS_QUAD;
        layer->kernels->global_average_pool_i8(&args);
    }
}

static goss_status plan_i8(goss_layer *layer, goss_error *error)
{
    const goss_value *x = layer->inputs[0];
    goss_global_average_pool_i8_args args = {
        .pixels = x->pixels,
        .zero_point = x->zero_point,
        .target = goss_target_of(layer->output, -INFINITY, INFINITY),
    };
    if (x->pixels >= (size_t)1 << 24)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED,
                               "%zu pixels of u7; fewer than "
                               "2^24 are supported",
                               x->pixels);
    goss_status status = goss_layer_allocate_state(layer, sizeof args, error);
    if (!status)
        status = goss_layer_factor(layer, (double)x->scale / (double)layer->output->scale, (double)x->pixels,
                                   &args.multiplier, error);
    if (status) return status;
    memcpy(layer->state, &args, sizeof args);
    layer->run = run_i8;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "global_average_pool_i8");
    return GOSS_OK;
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const bool quantized = goss_layer_is_quantized(layer);
    const goss_status status =
        quantized ? goss_layer_need_u7_output(layer, error) : goss_layer_need_f32(layer, 1, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const uint32_t keep_dims = goss_layer_u32(layer, 0);
    if (x->rank != 4 || keep_dims > 1)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "rank %u, keep_dims %u; rank 4, keep_dims 0 or 1 expected", x->rank, keep_dims);
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "global_average_pool_f32");
    const uint32_t dims[4] = {x->dims[0], x->dims[1], 1, 1};
    const goss_status fits = goss_value_set_shape(layer->output, keep_dims ? 4 : 2, dims, layer->kernels->lanes, error);
    return fits || !quantized ? fits : plan_i8(layer, error);
}

const goss_op goss_op_global_average_pool = {
    .name = "global_average_pool", .code = 3, .inputs = 1, .attributes = 1, .quantized = true, .plan = plan};
