/* Elements along one axis by places, constant or computed; of no place, a number of the node's own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "axes.h"

typedef struct take_state {
    goss_axes axes;  /* of y, x, and the places: their only axis is the one that is taken from */
    size_t step;     /* between neighbours of that axis in x */
    uint32_t size;   /* of that axis in x */
    bool along_rows; /* whether it is the last one */
    float fill;
    int32_t table[]; /* constant places; -1: none */
} take_state;

/* Computed places lie in scratch while a run lasts. */
static int32_t *places_of(const goss_layer *layer)
{
    return layer->inputs[1] ? (int32_t *)(void *)layer->scratch : ((take_state *)layer->state)->table;
}

static void take_row(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const take_state *state = layer->state;
    const float *x = goss_layer_operand_data(layer, 0) + offsets[1];
    const int32_t *places = places_of(layer) + offsets[2];
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
    const take_state *state = layer->state;
    const goss_axes *axes = &state->axes;
    const goss_value *computed = layer->inputs[1];
    for (size_t i = 0; computed && i < computed->dims[0]; i++) {
        const float place = computed->data[i];
        const bool whole = place >= 0 && place < (float)state->size && place == floorf(place);
        places_of(layer)[i] = whole ? (int32_t)place : -1;
    }
    goss_axes_run(layer, axes, axes->dims[axes->rank - 1], take_row);
}

static goss_status read_table(const goss_layer *layer, take_state *state, goss_error *error)
{
    const goss_weights *table = layer->weights[1];
    for (size_t i = 0; i < table->rows; i++) {
        const float place = table->values[i];
        if (!(place >= -1 && place < (float)state->size) || place != floorf(place))
            return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                                   "place %zu is %g, a whole number from -1 to %u expected", i, (double)place,
                                   state->size - 1);
        state->table[i] = (int32_t)place;
    }
    return GOSS_OK;
}

static goss_status check_inputs(const goss_layer *layer, goss_operand *x, goss_operand *places, goss_error *error)
{
    goss_status status = goss_layer_operand(layer, 0, x, error);
    if (!status) status = goss_layer_operand(layer, 1, places, error);
    if (status) return status;
    const uint32_t axis = goss_layer_u32(layer, 0);
    float fill;
    memcpy(&fill, layer->attributes + 4, sizeof fill);
    if (axis >= x->rank || places->rank != 1 || fill != fill)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "axis %u of a tensor that has %u; places of rank %u, 1 expected; fill %g", axis, x->rank,
                               places->rank, (double)fill);
    if (x->dims[axis] > 1u << 24)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "%u elements; at most 2^24 expected", x->dims[axis]);
    return GOSS_OK;
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_operand x, places;
    goss_status status = check_inputs(layer, &x, &places, error);
    if (status) return status;
    const bool computed = layer->inputs[1];
    const uint32_t axis = goss_layer_u32(layer, 0), count = places.dims[0];
    const size_t table_bytes = count * sizeof(int32_t);
    status = goss_layer_allocate_state(layer, sizeof(take_state) + (computed ? 0 : table_bytes), error);
    if (status) return status;
    take_state *state = layer->state;
    memcpy(&state->fill, layer->attributes + 4, sizeof state->fill);
    state->size = x.dims[axis];
    if (computed)
        layer->scratch_bytes = table_bytes; /* no more than the places themselves take */
    else
        status = read_table(layer, state, error);
    if (status) return status;

    uint32_t dims[GOSS_MAX_RANK];
    memcpy(dims, x.dims, x.rank * sizeof *dims);
    dims[axis] = count;
    status = goss_value_set_shape(layer->output, x.rank, dims, layer->kernels->lanes, error);
    if (status) return status;
    goss_axes *axes = &state->axes;
    *axes = (goss_axes){.rank = x.rank, .operands = 3};
    goss_value_strides(layer->output, axes->strides[0]);
    memcpy(axes->strides[1], x.strides, sizeof x.strides);
    for (uint32_t i = 0; i < x.rank; i++) axes->dims[i] = dims[i];
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
