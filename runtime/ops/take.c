/* Elements along one axis by a table of places; of no place, a number of the node's own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "axes.h"
#include "error.h"

typedef struct take_state {
    goss_axes axes;  /* of y, x, and the table: its only axis is the one that is taken from */
    size_t step;     /* between neighbours of that axis in x */
    bool along_rows; /* whether it is the last one */
    float fill;
    int32_t places[]; /* -1: none */
} take_state;

static void take_row(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const take_state *state = layer->state;
    const float *x = layer->inputs[0]->data + offsets[1];
    const int32_t *places = state->places + offsets[2];
    float *y = layer->output->data + offsets[0];
    if (!state->along_rows && *places >= 0)
        memcpy(y, x + (size_t)*places * state->step, count * sizeof *y);
    else if (!state->along_rows)
        for (size_t i = 0; i < count; i++) y[i] = state->fill;
    else
        for (size_t i = 0; i < count; i++) y[i] = places[i] < 0 ? state->fill : x[(size_t)places[i] * state->step];
}

static void run(const goss_layer *layer)
{
    const goss_axes *axes = &((const take_state *)layer->state)->axes;
    goss_axes_run(layer, axes, axes->dims[axes->rank - 1], take_row);
}

static goss_status read_places(const goss_layer *layer, uint32_t size, take_state *state, goss_error *error)
{
    const goss_weights *table = layer->weights[1];
    if (table->sparse || table->block_rows != 1)
        return goss_fail(error, GOSS_MODEL_CORRUPT, "node '%.60s' (take): a dense table expected", layer->name);
    for (size_t i = 0; i < table->rows; i++) {
        const float place = table->values[i];
        if (!(place >= -1 && place < (float)size) || place != floorf(place))
            return goss_fail(error, GOSS_MODEL_CORRUPT,
                             "node '%.60s' (take): place %zu is %g, a whole number from -1 to %u expected", layer->name,
                             i, (double)place, size - 1);
        state->places[i] = (int32_t)place;
    }
    return GOSS_OK;
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (!status) status = goss_layer_need_weights(layer, 1, 1, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const uint32_t axis = goss_layer_u32(layer, 0), count = layer->weight_dims[1][0];
    float fill;
    memcpy(&fill, layer->attributes + 4, sizeof fill);
    if (axis >= x->rank || fill != fill)
        return goss_fail(error, GOSS_MODEL_CORRUPT, "node '%.60s' (take): axis %u of '%.60s', which has %u; fill %g",
                         layer->name, axis, x->name, x->rank, (double)fill);
    if (x->dims[axis] > 1u << 24)
        return goss_fail(error, GOSS_UNSUPPORTED, "node '%.60s' (take): %u elements; at most 2^24 expected",
                         layer->name, x->dims[axis]);
    status = goss_layer_allocate_state(layer, sizeof(take_state) + count * sizeof(int32_t), error);
    if (status) return status;
    take_state *state = layer->state;
    status = read_places(layer, x->dims[axis], state, error);
    if (status) return status;

    uint32_t dims[GOSS_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = count;
    status = goss_value_set_shape(layer->output, x->rank, dims, layer->kernels->lanes, error);
    if (status) return status;
    goss_axes *axes = &state->axes;
    *axes = (goss_axes){.rank = x->rank, .operands = 3};
    goss_value_strides(layer->output, axes->strides[0]);
    goss_value_strides(x, axes->strides[1]);
    for (uint32_t i = 0; i < x->rank; i++) axes->dims[i] = dims[i];
    state->fill = fill;
    state->step = axes->strides[1][axis];
    axes->strides[1][axis] = 0;
    axes->strides[2][axis] = 1;
    goss_axes_merge(axes);
    state->along_rows = axes->strides[2][axes->rank - 1] != 0;
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s", state->along_rows ? "gather" : "copy");
    return GOSS_OK;
}

const goss_op goss_op_take = {.name = "take", .code = 19, .inputs = 2, .attributes = 2, .plan = plan};
