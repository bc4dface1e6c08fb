/* Activations that are not a clamp. Threads take runs of the whole buffer, padding included. */
#include "activation.h"

#include <stdio.h>

#include "runs.h"

goss_status goss_activation_find(const goss_layer *layer, uint32_t kind, goss_activation *activation, goss_error *error)
{
    const goss_kernels *k = layer->kernels;
    const goss_activation known[] = {
        {k->sigmoid_f32, "sigmoid_f32"},     {k->silu_f32, "silu_f32"}, {k->hard_swish_f32, "hard_swish_f32"},
        {k->tanh_f32, "tanh_f32"},           {k->elu_f32, "elu_f32"},   {k->softplus_f32, "softplus_f32"},
        {k->mish_f32, "mish_f32"},           {k->erf_f32, "erf_f32"},   {k->gelu_f32, "gelu_f32"},
        {k->gelu_tanh_f32, "gelu_tanh_f32"}, {k->exp_f32, "exp_f32"},   {k->log_f32, "log_f32"},
        {k->sqrt_f32, "sqrt_f32"},           {k->abs_f32, "abs_f32"},   {k->reciprocal_f32, "reciprocal_f32"},
        {k->floor_f32, "floor_f32"},         {k->ceil_f32, "ceil_f32"}, {k->round_f32, "round_f32"},
        {k->sign_f32, "sign_f32"},           {k->sin_f32, "sin_f32"},   {k->cos_f32, "cos_f32"},
    };
    enum { KNOWN = sizeof known / sizeof *known };
    if (kind >= KNOWN)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "activation %u; this build knows 0 to %d", kind,
                               KNOWN - 1);
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
