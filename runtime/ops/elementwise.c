/* Operators that work element by element, on whole buffers with their padding. */
#include <stdio.h>
#include <string.h>

#include "elementwise_i8.h"

typedef struct elementwise_state {
    float min, max;
} elementwise_state;

/* The output has the first input's shape and may take its memory. */
static goss_status plan_like_input(goss_layer *layer, const char *kernel, void (*run)(const goss_layer *),
                                   goss_error *error)
{
    elementwise_state clamp = {0, 0};
    goss_status status = goss_layer_clamp(layer, 0, &clamp.min, &clamp.max, error);
    if (!status) status = goss_layer_allocate_state(layer, sizeof clamp, error);
    if (status) return status;
    memcpy(layer->state, &clamp, sizeof clamp);

    const goss_value *x = layer->inputs[0];
    layer->run = run;
    layer->in_place = true;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s", kernel);
    return goss_value_set_shape(layer->output, x->rank, x->dims, layer->kernels->lanes, error);
}

static void run_add(const goss_layer *layer)
{
    const elementwise_state *state = layer->state;
    layer->kernels->add_f32(&(goss_add_f32_args){
        .a = layer->inputs[0]->data,
        .b = layer->inputs[1]->data,
        .y = layer->output->data,
        .count = layer->output->floats,
        .min = state->min,
        .max = state->max,
    });
}

static goss_status plan_add(goss_layer *layer, goss_error *error)
{
    const bool quantized = goss_layer_is_quantized(layer);
    goss_status status = quantized ? GOSS_OK : goss_layer_need_f32(layer, 2, error);
    if (!status && quantized) status = goss_layer_need_u7_pair(layer, error);
    if (status) return status;
    const goss_value *a = layer->inputs[0], *b = layer->inputs[1];
    if (a->rank != b->rank || memcmp(a->dims, b->dims, sizeof a->dims) != 0)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "'%.60s' and '%.60s' differ in shape", a->name,
                               b->name);
    return quantized ? goss_add_i8_plan(layer, error) : plan_like_input(layer, "add_f32", run_add, error);
}

static void run_clamp(const goss_layer *layer)
{
    const elementwise_state *state = layer->state;
    layer->kernels->clamp_f32(&(goss_clamp_f32_args){
        .x = layer->inputs[0]->data,
        .y = layer->output->data,
        .count = layer->output->floats,
        .min = state->min,
        .max = state->max,
    });
}

static goss_status plan_clamp(goss_layer *layer, goss_error *error)
{
    const goss_status status = goss_layer_need_value(layer, 0, error);
    return status ? status : plan_like_input(layer, "clamp_f32", run_clamp, error);
}

const goss_op goss_op_add = {
    .name = "add", .code = 4, .inputs = 2, .attributes = 2, .quantized = true, .plan = plan_add};
const goss_op goss_op_clamp = {.name = "clamp", .code = 5, .inputs = 1, .attributes = 2, .plan = plan_clamp};
