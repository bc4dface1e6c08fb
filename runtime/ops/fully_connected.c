/* Fully connected layer: a matrix times each image's vector. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "op.h"

typedef struct fully_connected_state {
    float min, max;
    uint32_t x_offset[]; /* sparse only */
} fully_connected_state;

/* The dense kernel wants zeros behind x; they are laid in scratch. */
static void run_dense(const goss_layer *layer)
{
    const fully_connected_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    float *padded = (float *)(void *)layer->scratch;

    memset(padded, 0, layer->scratch_bytes);
    for (size_t image = 0; image < x->images; image++) {
        memcpy(padded, x->data + image * x->channels, x->channels * sizeof *padded);
        layer->kernels->fully_connected_f32(&(goss_fully_connected_f32_args){
            .x = padded,
            .weights = layer->weights[1]->values,
            .bias = layer->weights[2]->values,
            .y = y->data + image * y->channels,
            .rows = y->channels,
            .columns = x->channels,
            .min = state->min,
            .max = state->max,
        });
    }
}

static void run_sparse(const goss_layer *layer)
{
    const fully_connected_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;

    for (size_t image = 0; image < x->images; image++)
        layer->kernels->fully_connected_sparse_f32(&(goss_fully_connected_sparse_f32_args){
            .x = x->data + image * x->channels,
            .weights = layer->weights[1]->values,
            .x_offset = state->x_offset,
            .weight_count = layer->weights[1]->counts,
            .bias = layer->weights[2]->values,
            .y = y->data + image * y->channels,
            .rows = y->channels,
            .min = state->min,
            .max = state->max,
        });
}

static goss_status infer_shape(goss_layer *layer, const goss_weights *weights, goss_error *error)
{
    const goss_value *x = layer->inputs[0];
    if (x->rank != 2 || x->channels != weights->columns)
        return goss_fail(
            error, GOSS_MODEL_CORRUPT,
            "node '%.60s' (fully_connected): weights take %zu channels, '%.60s' has rank %u with %zu channels",
            layer->name, weights->columns, x->name, x->rank, x->channels);
    if (weights->block_rows != 1)
        return goss_fail(error, GOSS_UNSUPPORTED,
                         "node '%.60s' (fully_connected): weights in blocks of %ux1, 1x1 expected", layer->name,
                         weights->block_rows);
    const uint32_t dims[2] = {x->dims[0], (uint32_t)weights->rows};
    return goss_value_set_shape(layer->output, 2, dims, layer->kernels->lanes, error);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const goss_weights *weights = layer->weights[1];
    float min = 0, max = 0;
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (!status) status = goss_layer_need_weights(layer, 1, 2, error);
    if (!status) status = goss_layer_need_bias(layer, 2, weights->rows, error);
    if (!status) status = goss_layer_clamp(layer, 0, &min, &max, error);
    if (!status) status = infer_shape(layer, weights, error);
    if (status) return status;

    const size_t offsets = weights->sparse ? weights->blocks : 0;
    status = goss_layer_allocate_state(layer, sizeof(fully_connected_state) + offsets * sizeof(uint32_t), error);
    if (status) return status;
    fully_connected_state *state = layer->state;
    state->min = min;
    state->max = max;
    for (size_t i = 0; i < offsets; i++) state->x_offset[i] = goss_weights_column(weights, i) * (uint32_t)sizeof(float);

    const size_t all = weights->rows * weights->columns, lanes = layer->kernels->lanes;
    layer->macs = (uint64_t)layer->output->images * weights->elements;
    layer->dense_macs = (uint64_t)layer->output->images * all;
    if (weights->sparse) {
        layer->run = run_sparse;
        snprintf(layer->kernel_name, sizeof layer->kernel_name, "fully_connected_sparse_f32");
        snprintf(layer->reason, sizeof layer->reason, "sparse: %.1f %% zeros skipped in blocks of 1x1",
                 100.0 * (double)(all - weights->elements) / (double)all);
    } else {
        layer->run = run_dense;
        layer->scratch_bytes = (weights->columns + lanes - 1) / lanes * lanes * sizeof(float);
        snprintf(layer->kernel_name, sizeof layer->kernel_name, "fully_connected_f32");
        snprintf(layer->reason, sizeof layer->reason, "dense: every weight is present");
    }
    return GOSS_OK;
}

const goss_op goss_op_fully_connected = {
    .name = "fully_connected", .code = 2, .inputs = 3, .attributes = 2, .plan = plan};
