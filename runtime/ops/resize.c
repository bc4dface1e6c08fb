/* Images in another size: y = rows * x * columns^T for each plane, both matrices sparse and constant. */
#include <stdio.h>

#include "op.h"
#include "pool.h"

typedef struct resize_state {
    goss_resize_f32_args args; /* all but x, y and row */
    size_t row_floats;
    uint32_t index[]; /* of rows, then of columns */
} resize_state;

static void resize_plane(const void *context, size_t plane, size_t thread)
{
    const goss_layer *layer = context;
    const resize_state *state = layer->state;
    goss_resize_f32_args args = state->args;
    args.x = layer->inputs[0]->data + plane * layer->inputs[0]->stride;
    args.y = layer->output->data + plane * layer->output->stride;
    args.row = (float *)(void *)layer->scratch + thread * state->row_floats;
    layer->kernels->resize_f32(&args);
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->channels, resize_plane, layer);
}

static goss_status check_matrix(const goss_layer *layer, uint32_t position, size_t columns, goss_error *error)
{
    const goss_status status = goss_layer_need_weights(layer, position, 2, error);
    if (status) return status;
    const goss_weights *weights = layer->weights[position];
    if (weights->sparse && weights->block_rows == 1 && weights->columns == columns) return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "matrix %u: %zu columns, sparse, in blocks of 1, expected",
                           position, columns);
}

static goss_taps read_taps(const goss_weights *weights, uint32_t *index)
{
    for (size_t i = 0; i < weights->blocks; i++) index[i] = goss_weights_column(weights, i);
    return (goss_taps){.counts = weights->counts, .index = index, .weights = weights->values};
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    if (x->rank != 4) return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "rank %u, 4 expected", x->rank);
    status = check_matrix(layer, 1, x->dims[2], error);
    if (!status) status = check_matrix(layer, 2, x->dims[3], error);
    if (status) return status;
    const goss_weights *rows = layer->weights[1], *columns = layer->weights[2];
    const uint32_t dims[4] = {x->dims[0], x->dims[1], (uint32_t)rows->rows, (uint32_t)columns->rows};
    const size_t lanes = layer->kernels->lanes;
    status = goss_value_set_shape(layer->output, 4, dims, lanes, error);
    if (!status)
        status = goss_layer_allocate_state(
            layer, sizeof(resize_state) + (rows->blocks + columns->blocks) * sizeof(uint32_t), error);
    if (status) return status;

    resize_state *state = layer->state;
    state->args = (goss_resize_f32_args){
        .rows = read_taps(rows, state->index),
        .columns = read_taps(columns, state->index + rows->blocks),
        .in_x = x->dims[3],
        .out_y = dims[2],
        .out_x = dims[3],
    };
    state->row_floats = (x->dims[3] + lanes - 1) / lanes * lanes;
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "resize_f32");
    return goss_layer_need_scratch(layer, state->row_floats, error);
}

const goss_op goss_op_resize = {.name = "resize", .code = 25, .inputs = 3, .attributes = 0, .plan = plan};
