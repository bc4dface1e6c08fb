/* Pointwise convolution: the input's planes are used where they lie. */
#include <stdio.h>

#include "conv.h"
#include "memory.h"
#include "spmm.h"

typedef struct pointwise_state {
    goss_spmm spmm;
    uint32_t offsets[];
} pointwise_state;

static void run(const goss_layer *layer)
{
    const pointwise_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    for (size_t image = 0; image < x->images; image++)
        goss_spmm_run(&state->spmm, x->data + image * x->channels * x->stride,
                      y->data + image * y->channels * y->stride, y->stride, y->stride);
}

goss_status goss_conv_pointwise_plan(goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const size_t columns = conv->weights->columns;
    const size_t offsets = goss_spmm_offset_count(conv->weights);
    const goss_status status =
        goss_layer_allocate_state(layer, sizeof(pointwise_state) + (offsets + columns) * sizeof(uint32_t), error);
    if (status) return status;

    pointwise_state *state = layer->state;
    uint32_t *column_offset = state->offsets + offsets;
    for (size_t c = 0; c < columns; c++) column_offset[c] = (uint32_t)(c * conv->x->stride * sizeof(float));
    goss_spmm_plan(layer, conv->weights, conv->bias, conv->min, conv->max, column_offset, state->offsets, &state->spmm);

    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "pointwise_f32_%ux1", conv->weights->block_rows);
    return GOSS_OK;
}
