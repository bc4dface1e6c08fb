/* Products of two activations: of the same shape, or each channel's plane with a number of its own. */
#include <stdio.h>
#include <string.h>

#include "elementwise_i8.h"
#include "runs.h"

static void multiply_run(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_run run = goss_run_of(layer, index);
    (void)thread;
    layer->kernels->multiply_f32(&(goss_multiply_f32_args){
        .a = layer->inputs[0]->data + run.first,
        .b = layer->inputs[1]->data + run.first,
        .y = layer->output->data + run.first,
        .count = run.count,
    });
}

static void scale_plane(const void *context, size_t plane, size_t thread)
{
    const goss_layer *layer = context;
    const goss_value *x = layer->inputs[0], *factors = layer->inputs[1];
    (void)thread;
    layer->kernels->scale_f32(&(goss_scale_f32_args){
        .x = x->data + plane * x->stride,
        .y = layer->output->data + plane * x->stride,
        .count = x->stride,
        .factor = factors->data[plane * factors->stride],
    });
}

static void multiply(const goss_layer *layer)
{
    goss_pool_run(layer->pool, goss_run_count(layer), multiply_run, layer);
}

static void scale(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->channels, scale_plane, layer);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const bool quantized = goss_layer_is_quantized(layer);
    goss_status status = quantized ? goss_layer_need_u7_pair(layer, error) : goss_layer_need_f32(layer, 2, error);
    if (status) return status;
    const goss_value *a = layer->inputs[0], *b = layer->inputs[1];
    const bool same = a->rank == b->rank && memcmp(a->dims, b->dims, sizeof a->dims) == 0;
    const bool channels = a->rank == 4 && b->rank == 4 && a->dims[0] == b->dims[0] && a->dims[1] == b->dims[1] &&
                          b->dims[2] == 1 && b->dims[3] == 1;
    if (!same && !channels)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "'%.60s' is neither like '%.60s' nor one number for each channel", b->name, a->name);
    if (quantized) return goss_multiply_i8_plan(layer, same, error);
    layer->run = same ? multiply : scale;
    layer->in_place = true; /* also over the factors, if they are as large: a plane then replaces its own factor */
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s", same ? "multiply_f32" : "scale_f32");
    return goss_value_set_shape(layer->output, a->rank, a->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_multiply = {
    .name = "multiply", .code = 9, .inputs = 2, .attributes = 0, .quantized = true, .plan = plan};
