/* Activations that are not a clamp. Threads take runs of the whole buffer, padding included. */
#include "activation.h"

#include <stdio.h>

#include "error.h"
#include "runs.h"

goss_status goss_activation_find(const goss_layer *layer, uint32_t kind, goss_activation *activation, goss_error *error)
{
    const goss_activation known[] = {{layer->kernels->sigmoid_f32, "sigmoid_f32"}, {layer->kernels->silu_f32, "silu_f32"}};
    if (kind >= sizeof known / sizeof *known)
        return goss_fail(error, GOSS_UNSUPPORTED, "node '%.60s' (%s): activation %u; this build knows 0 and 1",
                         layer->name, layer->op->name, kind);
    *activation = known[kind];
    return GOSS_OK;
}

static void activate_run(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_activation *activation = layer->state;
    const goss_run run = goss_run_of(layer, index);
    (void)thread;
    activation->kernel(&(goss_activation_f32_args){
        .x = layer->inputs[0]->data + run.first, .y = layer->output->data + run.first, .rows = 1, .count = run.count});
}

static void run(const goss_layer *layer) { goss_pool_run(layer->pool, goss_run_count(layer), activate_run, layer); }

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_activation activation;
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (!status) status = goss_activation_find(layer, goss_layer_u32(layer, 0), &activation, error);
    if (!status) status = goss_layer_allocate_state(layer, sizeof activation, error);
    if (status) return status;
    *(goss_activation *)layer->state = activation;

    const goss_value *x = layer->inputs[0];
    layer->run = run;
    layer->in_place = true;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s", activation.name);
    return goss_value_set_shape(layer->output, x->rank, x->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_activation = {.name = "activation", .code = 8, .inputs = 1, .attributes = 1, .plan = plan};
