/* Sums, products and tables of quantized tensors. Threads take runs of the whole buffer, padding included. */
#include "elementwise_i8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runs.h"

/* The output has input 0's shape and may take its memory. */
static goss_status plan_like_input(goss_layer *layer, const char *kernel, void (*run)(const goss_layer *),
                                   const void *args, size_t bytes, goss_error *error)
{
    const goss_status status = bytes ? goss_layer_allocate_state(layer, bytes, error) : GOSS_OK;
    if (status) return status;
    if (bytes) memcpy(layer->state, args, bytes);
    layer->run = run;
    layer->in_place = true;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s", kernel);
    const goss_value *x = layer->inputs[0];
    return goss_value_set_shape(layer->output, x->rank, x->dims, layer->kernels->lanes, error);
}

static const uint8_t *input_at(const goss_layer *layer, uint32_t input, size_t quad)
{
    return goss_bytes(layer->inputs[input]) + quad * GOSS_QUAD;
}

static uint8_t *output_at(const goss_layer *layer, size_t quad) { return goss_bytes(layer->output) + quad * GOSS_QUAD; }

/* ---- Sums ------------------------------------------------------------------------------------------------ */

static void add_run(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_run run = goss_run_of(layer, index);
    goss_add_i8_args args = *(const goss_add_i8_args *)layer->state;
    (void)thread;
    args.a = input_at(layer, 0, run.first);
    args.b = input_at(layer, 1, run.first);
    args.y = output_at(layer, run.first);
    args.count = run.count;
    layer->kernels->add_i8(&args);
}

static void add(const goss_layer *layer) { goss_pool_run(layer->pool, goss_run_count(layer), add_run, layer); }

goss_status goss_add_i8_plan(goss_layer *layer, goss_error *error)
{
    const goss_value *a = layer->inputs[0], *b = layer->inputs[1];
    const double scale = (double)layer->output->scale;
    float min = 0, max = 0;
    goss_add_i8_args args = {.a_zero_point = a->zero_point, .b_zero_point = b->zero_point};
    goss_status status = goss_layer_clamp(layer, 0, &min, &max, error);
    if (!status) status = goss_layer_factor(layer, (double)a->scale, scale, &args.a_multiplier, error);
    if (!status) status = goss_layer_factor(layer, (double)b->scale, scale, &args.b_multiplier, error);
    if (status) return status;
    args.target = goss_target_of(layer->output, min, max);
    return plan_like_input(layer, "add_i8", add, &args, sizeof args, error);
}

/* ---- Products -------------------------------------------------------------------------------------------- */

static void multiply_run(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_run run = goss_run_of(layer, index);
    goss_multiply_i8_args args = *(const goss_multiply_i8_args *)layer->state;
    (void)thread;
    args.a = input_at(layer, 0, run.first);
    args.b = input_at(layer, 1, run.first);
    args.y = output_at(layer, run.first);
    args.count = run.count;
    layer->kernels->multiply_i8(&args);
}

static void scale_plane(const void *context, size_t plane, size_t thread)
{
    const goss_layer *layer = context;
    const size_t stride = layer->output->stride;
    goss_multiply_i8_args args = *(const goss_multiply_i8_args *)layer->state;
    (void)thread;
    args.a = input_at(layer, 0, plane * stride);
    args.b = input_at(layer, 1, plane * layer->inputs[1]->stride);
    args.y = output_at(layer, plane * stride);
    args.count = stride;
    layer->kernels->scale_i8(&args);
}

static void multiply(const goss_layer *layer)
{
    goss_pool_run(layer->pool, goss_run_count(layer), multiply_run, layer);
}

static void scale(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->planes, scale_plane, layer);
}

goss_status goss_multiply_i8_plan(goss_layer *layer, bool same, goss_error *error)
{
    const goss_value *a = layer->inputs[0], *b = layer->inputs[1];
    goss_multiply_i8_args args = {
        .a_zero_point = a->zero_point,
        .b_zero_point = b->zero_point,
        .target = goss_target_of(layer->output, -INFINITY, INFINITY),
    };
    const goss_status status = goss_layer_factor(layer, (double)a->scale * (double)b->scale,
                                                 (double)layer->output->scale, &args.multiplier, error);
    if (status) return status;
    return plan_like_input(layer, same ? "multiply_i8" : "scale_i8", same ? multiply : scale, &args, sizeof args,
                           error);
}

/* ---- Tables ---------------------------------------------------------------------------------------------- */

static void lookup_run(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_run run = goss_run_of(layer, index);
    (void)thread;
    layer->kernels->lookup_i8(&(goss_lookup_i8_args){.x = input_at(layer, 0, run.first),
                                                     .y = output_at(layer, run.first),
                                                     .count = run.count,
                                                     .table = layer->attributes});
}

static void lookup(const goss_layer *layer) { goss_pool_run(layer->pool, goss_run_count(layer), lookup_run, layer); }

static goss_status plan_lookup(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_u7(layer, 0, error);
    if (!status) status = goss_layer_need_u7_output(layer, error);
    if (status) return status;
    for (size_t i = 0; i <= GOSS_U7_MAX; i++)
        if (layer->attributes[i] > GOSS_U7_MAX)
            return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "%zu becomes %u; 0 to 127 expected", i,
                                   layer->attributes[i]);
    return plan_like_input(layer, "lookup_i8", lookup, NULL, 0, error);
}

const goss_op goss_op_lookup = {
    .name = "lookup", .code = 40, .inputs = 1, .attributes = 32, .quantized = true, .plan = plan_lookup};
