/* Depthwise convolution with a 3x3 or 5x5 kernel and stride 1 or 2: planes are used where they lie. */
#include <stdio.h>

#include "checked.h"
#include "conv.h"
#include "error.h"
#include "pool.h"

typedef struct square_state {
    goss_depthwise_square_f32_args args; /* all but x, weights, y, bias */
    size_t multiplier;                   /* output channels an input channel */
    goss_activation_kernel *activation;  /* or NULL */
    uint32_t inside[];
} square_state;

bool goss_conv_depthwise_is_square(const goss_conv *conv)
{
    const uint32_t kernel = conv->kernel_y, stride = conv->stride_y;
    return (kernel == 3 || kernel == 5) && conv->kernel_x == kernel && (stride == 1 || stride == 2) &&
           conv->stride_x == stride && conv->dilation_y == 1 && conv->dilation_x == 1 && conv->pad_top < kernel &&
           conv->pad_left < kernel && conv->pad_right < kernel;
}

/* One output channel. */
static void run_channel(const void *context, size_t channel, size_t thread)
{
    const goss_layer *layer = context;
    const square_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t row = channel % y->channels; /* of the weights */
    (void)thread;

    goss_depthwise_square_f32_args args = state->args;
    args.x = x->data + channel / state->multiplier * x->stride;
    args.weights = layer->weights[1]->values + row * layer->weights[1]->columns;
    args.bias = layer->weights[2]->values[row];
    args.y = y->data + channel * y->stride;
    layer->kernels->depthwise_square_f32(&args);
    goss_activate(state->activation, args.y, 1, y->stride, y->stride);
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->channels, run_channel, layer);
}

goss_status goss_conv_depthwise_square_plan(goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const size_t words = (size_t)conv->out_x * conv->stride_x + GOSS_INSIDE_ROOM;
    const goss_status status = goss_layer_allocate_state(layer, sizeof(square_state) + words * sizeof(uint32_t), error);
    if (status) return status;

    square_state *state = layer->state;
    for (size_t i = 0; i < words; i++)
        state->inside[i] = i >= conv->pad_left && i - conv->pad_left < conv->in_x ? UINT32_MAX : 0;
    state->multiplier = conv->weights->rows / conv->groups;
    state->activation = conv->activation.kernel;
    state->args = (goss_depthwise_square_f32_args){
        .inside = (const float *)(const void *)state->inside,
        .y_floats = layer->output->stride,
        .in_y = conv->in_y,
        .in_x = conv->in_x,
        .out_y = conv->out_y,
        .out_x = conv->out_x,
        .kernel = conv->kernel_y,
        .stride = conv->stride_y,
        .pad_top = conv->pad_top,
        .pad_left = conv->pad_left,
        .min = conv->min,
        .max = conv->max,
    };
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "depthwise_square_f32");
    snprintf(layer->reason, sizeof layer->reason, "depthwise: one %ux%u filter a channel, planes where they lie",
             conv->kernel_y, conv->kernel_x);
    return GOSS_OK;
}
