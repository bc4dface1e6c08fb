/* Sums, products and extremes over some axes. Rows that are reduced go through a kernel of their own; where rows stay,
 * they are combined element by element, as two operands are. */
#include <stdio.h>
#include <string.h>

#include "axes.h"

enum { SUM, MEAN, PRODUCT, SMALLEST, LARGEST, PLACE_OF_SMALLEST, PLACE_OF_LARGEST, KINDS };

typedef struct reduce_state {
    goss_axes kept;    /* of y and x */
    goss_axes reduced; /* of x twice */
    uint32_t kind;
    float share; /* of each element in a mean; else 1 */
    goss_reduce_kernel *row;
    goss_binary_kernel *pair;
    bool row_is_kept;
} reduce_state;

static float combine(const reduce_state *state, float a, float b)
{
    float y;
    state->pair(&(goss_binary_f32_args){.a = &a, .b = &b, .y = &y, .count = 1});
    return y;
}

/* One number after the other. */
static void reduce_each(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const reduce_state *state = layer->state;
    const goss_axes *kept = &state->kept, *reduced = &state->reduced;
    const size_t row = reduced->dims[reduced->rank - 1], rows = goss_axes_rows(reduced);
    const size_t y_step = kept->strides[0][kept->rank - 1], x_step = kept->strides[1][kept->rank - 1];
    for (size_t i = 0; i < count; i++) {
        const float *x = layer->inputs[0]->data + offsets[1] + i * x_step;
        float result = state->row(x, row);
        for (size_t r = 1; r < rows; r++) {
            size_t at[GOSS_AXES_OPERANDS];
            goss_axes_offsets(reduced, r, at);
            result = combine(state, result, state->row(x + at[0], row));
        }
        layer->output->data[offsets[0] + i * y_step] = result * state->share;
    }
}

/* A row of results at a time. */
static void reduce_rows(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const reduce_state *state = layer->state;
    const goss_axes *reduced = &state->reduced;
    const float *x = layer->inputs[0]->data + offsets[1];
    float *y = layer->output->data + offsets[0];
    const size_t last = reduced->dims[reduced->rank - 1], rows = goss_axes_rows(reduced);
    memcpy(y, x, count * sizeof *y);
    for (size_t r = 0; r < rows; r++) {
        size_t at[GOSS_AXES_OPERANDS];
        goss_axes_offsets(reduced, r, at);
        for (size_t i = r == 0; i < last; i++)
            state->pair(&(goss_binary_f32_args){.a = y,
                                                .b = x + at[0] + i * reduced->strides[0][reduced->rank - 1],
                                                .y = y,
                                                .count = count,
                                                .a_step = 1,
                                                .b_step = 1});
    }
    for (size_t i = 0; i < count && state->share != 1; i++) y[i] *= state->share;
}

/* The first place of the smallest or largest along one axis. */
static void find_places(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const reduce_state *state = layer->state;
    const goss_axes *kept = &state->kept, *reduced = &state->reduced;
    const size_t y_step = kept->strides[0][kept->rank - 1], x_step = kept->strides[1][kept->rank - 1];
    const bool smallest = state->kind == PLACE_OF_SMALLEST;
    for (size_t i = 0; i < count; i++) {
        const float *x = layer->inputs[0]->data + offsets[1] + i * x_step;
        size_t place = 0;
        for (size_t p = 1; p < reduced->dims[0]; p++) {
            const float best = x[place * reduced->strides[0][0]], other = x[p * reduced->strides[0][0]];
            if (smallest ? other < best : other > best) place = p;
        }
        layer->output->data[offsets[0] + i * y_step] = (float)place;
    }
}

static void run(const goss_layer *layer)
{
    const reduce_state *state = layer->state;
    const goss_axes *kept = &state->kept;
    const size_t row = kept->dims[kept->rank - 1];
    const size_t each = goss_axes_rows(&state->reduced) * state->reduced.dims[state->reduced.rank - 1];
    goss_row *function = state->kind >= PLACE_OF_SMALLEST ? find_places
                         : state->row_is_kept             ? reduce_rows
                                                          : reduce_each;
    goss_axes_run(layer, kept, row * each, function);
}

/* Parts the axes of x into those that stay and those that go. */
static goss_status part_axes(goss_layer *layer, uint32_t mask, bool keep_dims, goss_error *error)
{
    const goss_value *x = layer->inputs[0];
    reduce_state *state = layer->state;
    goss_axes *kept = &state->kept, *reduced = &state->reduced;
    uint32_t dims[GOSS_MAX_RANK] = {0}, rank = 0, last = 0;
    for (uint32_t axis = 0; axis < x->rank; axis++) {
        const bool gone = mask >> axis & 1;
        if (!gone || keep_dims) dims[rank++] = gone ? 1 : x->dims[axis];
        if (x->dims[axis] > 1) last = axis;
    }
    if (rank == 0) dims[rank++] = 1;
    const goss_status status = goss_value_set_shape(layer->output, rank, dims, layer->kernels->lanes, error);
    if (status) return status;

    size_t x_strides[GOSS_MAX_RANK], y_strides[GOSS_MAX_RANK];
    goss_value_strides(x, x_strides);
    goss_value_strides(layer->output, y_strides);
    *kept = (goss_axes){.operands = 2};
    *reduced = (goss_axes){.operands = 1};
    for (uint32_t axis = 0, y_axis = 0; axis < x->rank; axis++) {
        const bool gone = mask >> axis & 1;
        goss_axes *axes = gone ? reduced : kept;
        axes->dims[axes->rank] = x->dims[axis];
        axes->strides[gone ? 0 : 1][axes->rank] = x_strides[axis];
        if (!gone) kept->strides[0][kept->rank] = y_strides[y_axis];
        axes->rank++;
        y_axis += !gone || keep_dims;
    }
    state->row_is_kept = !(mask >> last & 1) && x_strides[last] == 1;
    goss_axes_merge(kept);
    return GOSS_OK;
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const uint32_t kind = goss_layer_u32(layer, 0), mask = goss_layer_u32(layer, 1);
    if (kind >= KINDS)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "kind %u; this build knows 0 to %d", kind, KINDS - 1);
    const bool one_axis = mask && !(mask & (mask - 1));
    if (mask == 0 || mask >> x->rank || (kind >= PLACE_OF_SMALLEST && !one_axis))
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "axes 0x%x of '%.60s', which has %u", mask, x->name,
                               x->rank);
    status = goss_layer_allocate_state(layer, sizeof(reduce_state), error);
    if (!status) status = part_axes(layer, mask, goss_layer_u32(layer, 2) != 0, error);
    if (status) return status;

    static const uint8_t rows[] = {0, 0, 1, 2, 3, 2, 3}, pairs[] = {0, 0, 2, 4, 5, 4, 5};
    static const char *const names[] = {"sum", "mean", "product", "min", "max", "arg_min", "arg_max"};
    reduce_state *state = layer->state;
    state->kind = kind;
    state->row = layer->kernels->reduce_f32[rows[kind]];
    state->pair = layer->kernels->binary_f32[pairs[kind]];
    if (kind < PLACE_OF_SMALLEST) goss_axes_merge(&state->reduced);
    size_t count = 1;
    for (uint32_t axis = 0; axis < state->reduced.rank; axis++) count *= state->reduced.dims[axis];
    state->share = kind == MEAN ? 1 / (float)count : 1;
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s%s", names[kind],
             kind >= PLACE_OF_SMALLEST ? ""
             : state->row_is_kept      ? "_f32 of rows"
                                       : "_f32");
    return GOSS_OK;
}

const goss_op goss_op_reduce = {.name = "reduce", .code = 22, .inputs = 1, .attributes = 3, .plan = plan};
