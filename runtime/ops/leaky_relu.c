/* x where it is positive, a part of it where it is not. Threads take runs of the whole buffer, padding included. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op.h"
#include "runs.h"

static void leaky_relu_run(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_run run = goss_run_of(layer, index);
    float slope;
    (void)thread;
    memcpy(&slope, layer->attributes, sizeof slope);
    layer->kernels->leaky_relu_f32(&(goss_leaky_relu_f32_args){
        .x = layer->inputs[0]->data + run.first,
        .y = layer->output->data + run.first,
        .count = run.count,
        .slope = slope,
    });
}

static void run(const goss_layer *layer) { goss_pool_run(layer->pool, goss_run_count(layer), leaky_relu_run, layer); }

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const goss_status status = goss_layer_need_value(layer, 0, error);
    float slope;
    if (status) return status;
    memcpy(&slope, layer->attributes, sizeof slope);
    if (!isfinite(slope)) return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "a finite slope expected");
    const goss_value *x = layer->inputs[0];
    layer->run = run;
    layer->in_place = true;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "leaky_relu_f32");
    return goss_value_set_shape(layer->output, x->rank, x->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_leaky_relu = {.name = "leaky_relu", .code = 14, .inputs = 1, .attributes = 1, .plan = plan};
