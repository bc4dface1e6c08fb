/* Activations that are not a clamp. Threads take runs of the whole buffer, padding included. */
#include <stdio.h>

#include "error.h"
#include "op.h"
#include "runs.h"

enum { SIGMOID = 0, SILU = 1 };

static void run_sigmoid(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_run run = goss_run_of(layer, index);
    (void)thread;
    layer->kernels->sigmoid_f32(&(goss_activation_f32_args){
        .x = layer->inputs[0]->data + run.first, .y = layer->output->data + run.first, .count = run.count});
}

static void run_silu(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_run run = goss_run_of(layer, index);
    (void)thread;
    layer->kernels->silu_f32(&(goss_activation_f32_args){
        .x = layer->inputs[0]->data + run.first, .y = layer->output->data + run.first, .count = run.count});
}

static void run_all_sigmoid(const goss_layer *layer)
{
    goss_pool_run(layer->pool, goss_run_count(layer), run_sigmoid, layer);
}

static void run_all_silu(const goss_layer *layer)
{
    goss_pool_run(layer->pool, goss_run_count(layer), run_silu, layer);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const uint32_t kind = goss_layer_u32(layer, 0);
    if (kind != SIGMOID && kind != SILU)
        return goss_fail(error, GOSS_UNSUPPORTED, "node '%.60s' (activation): kind %u; this build knows 0 and 1",
                         layer->name, kind);
    const goss_value *x = layer->inputs[0];
    layer->run = kind == SIGMOID ? run_all_sigmoid : run_all_silu;
    layer->in_place = true;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s", kind == SIGMOID ? "sigmoid_f32" : "silu_f32");
    return goss_value_set_shape(layer->output, x->rank, x->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_activation = {.name = "activation", .code = 8, .inputs = 1, .attributes = 1, .plan = plan};
