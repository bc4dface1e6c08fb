/* Each row of a matrix brought to mean 0 and variance 1, then scaled and shifted by columns. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "axes.h"

static void norm_row(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const goss_weights *scale = layer->weights[1], *bias = layer->weights[2];
    goss_layer_norm_f32_args args = {
        .x = layer->inputs[0]->data + offsets[0],
        .y = layer->output->data + offsets[0],
        .scale = scale ? scale->values : NULL,
        .bias = bias ? bias->values : NULL,
        .count = count,
    };
    memcpy(&args.epsilon, layer->attributes, sizeof args.epsilon);
    layer->kernels->layer_norm_f32(&args);
}

static void run(const goss_layer *layer)
{
    const goss_value *y = layer->output;
    const goss_axes rows = {.rank = 2, .operands = 1, .dims = {y->images, y->channels}, .strides = {{y->channels, 1}}};
    goss_axes_run(layer, &rows, 4 * y->channels, norm_row);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    float epsilon;
    memcpy(&epsilon, layer->attributes, sizeof epsilon);
    if (x->rank != 2 || !(epsilon >= 0) || isinf(epsilon))
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "'%.60s' of rank %u with epsilon %g; rank 2, 0 or more expected", x->name, x->rank,
                               (double)epsilon);
    for (uint32_t i = 1; i < 3 && !status; i++)
        if (layer->inputs[i] || layer->weights[1]) status = goss_layer_need_bias(layer, i, x->channels, error);
    if (status) return status;
    layer->run = run;
    layer->in_place = true;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "layer_norm_f32");
    return goss_value_set_shape(layer->output, 2, x->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_layer_norm = {
    .name = "layer_norm", .code = 24, .inputs = 1, .optional_inputs = 2, .attributes = 1, .plan = plan};
