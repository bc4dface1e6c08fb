/* Depthwise convolution: channel by channel through one packed plane. */
#include <stdio.h>

#include "checked.h"
#include "conv.h"
#include "memory.h"
#include "pack.h"
#include "pool.h"

typedef struct depthwise_state {
    goss_pack pack;
    size_t multiplier; /* output channels an input channel */
    float min, max;
    goss_activation_kernel *activation; /* or NULL */
    uint32_t tap_offset[];
} depthwise_state;

/* One input channel and the output channels that come of it. */
static void run_channel(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const depthwise_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t taps = layer->weights[1]->columns;
    float *packed = (float *)(void *)layer->scratch + thread * state->pack.plane_floats;

    goss_pack_plane(layer, &state->pack, x->data + index * x->stride, packed);
    for (size_t i = 0; i < state->multiplier; i++) {
        const size_t channel = index * state->multiplier + i, row = channel % y->channels; /* of the weights */
        layer->kernels->depthwise_f32(&(goss_depthwise_f32_args){
            .x = packed,
            .weights = layer->weights[1]->values + row * taps,
            .tap_offset = state->tap_offset,
            .y = y->data + channel * y->stride,
            .rows = state->pack.out_y,
            .x_columns = state->pack.args.columns,
            .y_columns = state->pack.out_x,
            .taps = taps,
            .bias = layer->weights[2]->values[row],
            .min = state->min,
            .max = state->max,
        });
        goss_activate(state->activation, y->data + channel * y->stride, 1, y->stride, y->stride);
    }
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->inputs[0]->images * layer->inputs[0]->channels, run_channel, layer);
}

goss_status goss_conv_depthwise_plan(goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const size_t taps = conv->weights->columns;
    goss_status status = goss_layer_allocate_state(layer, sizeof(depthwise_state) + taps * sizeof(uint32_t), error);
    if (status) return status;

    depthwise_state *state = layer->state;
    status = goss_pack_plan(layer, conv, &state->pack, error);
    if (status) return status;
    state->multiplier = conv->weights->rows / conv->groups;
    state->min = conv->min;
    state->max = conv->max;
    state->activation = conv->activation.kernel;
    for (size_t tap = 0; tap < taps; tap++)
        state->tap_offset[tap] = (uint32_t)(goss_pack_tap(&state->pack, conv, (uint32_t)(tap / conv->kernel_x),
                                                          (uint32_t)(tap % conv->kernel_x)) *
                                            sizeof(float));
    if (!checked_multiply(state->pack.plane_floats, layer->threads * sizeof(float), &layer->scratch_bytes))
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "a padded plane is larger than 4 GiB");

    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "packed + depthwise_f32");
    snprintf(layer->reason, sizeof layer->reason, "depthwise: one %ux%u filter a channel", conv->kernel_y,
             conv->kernel_x);
    return GOSS_OK;
}
