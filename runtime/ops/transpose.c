/* Axes in another order. Where neighbours stay neighbours, rows are copied; else the axis along which x has neighbours
 * and the one along which y has them make a matrix that turns. */
#include <stdio.h>
#include <string.h>

#include "axes.h"

typedef struct transpose_state {
    goss_axes axes; /* of y and x; the last one has one step where a matrix turns at each place */
    goss_transpose_f32_args matrix;
} transpose_state;

static void copy_row(const goss_layer *layer, const size_t *offsets, size_t count)
{
    memcpy(layer->output->data + offsets[0], layer->inputs[0]->data + offsets[1], count * sizeof(float));
}

static void turn_matrix(const goss_layer *layer, const size_t *offsets, size_t count)
{
    goss_transpose_f32_args matrix = ((const transpose_state *)layer->state)->matrix;
    (void)count;
    matrix.x = layer->inputs[0]->data + offsets[1];
    matrix.y = layer->output->data + offsets[0];
    layer->kernels->transpose_f32(&matrix);
}

static void run(const goss_layer *layer)
{
    const transpose_state *state = layer->state;
    const goss_axes *axes = &state->axes;
    const size_t elements = state->matrix.rows * state->matrix.columns;
    if (elements)
        goss_axes_run(layer, axes, elements, turn_matrix);
    else
        goss_axes_run(layer, axes, axes->dims[axes->rank - 1], copy_row);
}

/* Takes the axis along which y has neighbours and the one along which x has them out of the axes. */
static void find_matrix(transpose_state *state)
{
    goss_axes *axes = &state->axes;
    const uint32_t last = axes->rank - 1;
    uint32_t turned = 0;
    while (turned < last && axes->strides[1][turned] != 1) turned++;
    if (axes->strides[0][last] != 1 || axes->strides[1][last] <= 1 || turned == last) return;
    state->matrix = (goss_transpose_f32_args){
        .rows = axes->dims[last],
        .columns = axes->dims[turned],
        .x_stride = axes->strides[1][last],
        .y_stride = axes->strides[0][turned],
    };
    axes->dims[turned] = axes->dims[last] = 1;
}

/* Whether the attributes are an order of that many axes. */
static bool is_order(const goss_layer *layer, uint32_t rank)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < GOSS_MAX_RANK; i++) {
        const uint32_t axis = goss_layer_u32(layer, i);
        if (i < rank ? axis >= rank : axis != 0) return false;
        if (i < rank) seen |= 1u << axis;
    }
    return seen == (1u << rank) - 1;
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    if (!is_order(layer, x->rank))
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "an order of the %u axes of '%.60s' expected", x->rank,
                               x->name);
    status = goss_layer_allocate_state(layer, sizeof(transpose_state), error);
    if (status) return status;

    uint32_t dims[GOSS_MAX_RANK] = {0};
    for (uint32_t i = 0; i < x->rank; i++) dims[i] = x->dims[goss_layer_u32(layer, i)];
    status = goss_value_set_shape(layer->output, x->rank, dims, layer->kernels->lanes, error);
    if (status) return status;

    transpose_state *state = layer->state;
    *state = (transpose_state){.axes = {.rank = x->rank, .operands = 2}};
    goss_axes *axes = &state->axes;
    size_t strides[GOSS_MAX_RANK];
    goss_value_strides(x, strides);
    goss_value_strides(layer->output, axes->strides[0]);
    for (uint32_t i = 0; i < x->rank; i++) {
        axes->dims[i] = dims[i];
        axes->strides[1][i] = strides[goss_layer_u32(layer, i)];
    }
    /* Merged without an axis of one step at its end, the last one is where y has neighbours. */
    goss_axes_merge(axes);
    if (axes->dims[axes->rank - 1] == 1 && axes->rank > 1) axes->rank--;
    find_matrix(state);
    goss_axes_merge(axes);
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s", state->matrix.rows ? "transpose_f32" : "copy");
    return GOSS_OK;
}

const goss_op goss_op_transpose = {
    .name = "transpose", .code = 18, .inputs = 1, .attributes = GOSS_MAX_RANK, .plan = plan};
