/* The largest or smallest numbers along one axis, best first, or their places.
 *
 * The places of the best so far lie in the output, a heap whose root is the worst of them: it goes when a better one is
 * found. Sorted in the end, and replaced by the numbers if these are asked for. */
#include <stdio.h>
#include <string.h>

#include "axes.h"
#include "heap.h"

typedef struct top_k_state {
    goss_axes axes; /* of y and x, without the one that is looked along */
    size_t size, count;
    size_t x_step, y_step; /* between neighbours along it */
    bool smallest, places;
} top_k_state;

static void find_best(const goss_heap *heap, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++) heap->places[i * heap->step] = (float)i;
    goss_heap_make(heap, count);
    for (size_t i = count; i < size; i++)
        if (goss_heap_is_above(heap, heap->places[0], (float)i)) goss_heap_sift_down(heap, 0, count, (float)i);
    for (size_t left = count - 1; left > 0; left--) {
        const float last = heap->places[left * heap->step];
        heap->places[left * heap->step] = heap->places[0];
        goss_heap_sift_down(heap, 0, left, last);
    }
}

static void top_k_row(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const top_k_state *state = layer->state;
    const uint32_t last = state->axes.rank - 1;
    for (size_t i = 0; i < count; i++) {
        const goss_heap heap = {
            .x = layer->inputs[0]->data + offsets[1] + i * state->axes.strides[1][last],
            .places = layer->output->data + offsets[0] + i * state->axes.strides[0][last],
            .x_step = state->x_step,
            .step = state->y_step,
            .smallest = state->smallest,
        };
        find_best(&heap, state->size, state->count);
        for (size_t k = 0; k < state->count && !state->places; k++)
            heap.places[k * heap.step] = heap.x[(size_t)heap.places[k * heap.step] * heap.x_step];
    }
}

static void run(const goss_layer *layer)
{
    const top_k_state *state = layer->state;
    const goss_axes *axes = &state->axes;
    goss_axes_run(layer, axes, axes->dims[axes->rank - 1] * state->size, top_k_row);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const uint32_t axis = goss_layer_u32(layer, 0), count = goss_layer_u32(layer, 1);
    if (axis >= x->rank || count < 1 || count > x->dims[axis])
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "%u elements of axis %u of '%.60s'", count, axis,
                               x->name);
    if (x->dims[axis] > 1u << 24)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "%u elements; at most 2^24 expected", x->dims[axis]);
    status = goss_layer_allocate_state(layer, sizeof(top_k_state), error);
    if (status) return status;
    uint32_t dims[GOSS_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = count;
    status = goss_value_set_shape(layer->output, x->rank, dims, layer->kernels->lanes, error);
    if (status) return status;

    top_k_state *state = layer->state;
    *state = (top_k_state){
        .axes = {.rank = x->rank, .operands = 2},
        .size = x->dims[axis],
        .count = count,
        .smallest = goss_layer_u32(layer, 2) != 0,
        .places = goss_layer_u32(layer, 3) != 0,
    };
    goss_value_strides(layer->output, state->axes.strides[0]);
    goss_value_strides(x, state->axes.strides[1]);
    state->y_step = state->axes.strides[0][axis];
    state->x_step = state->axes.strides[1][axis];
    for (uint32_t i = 0; i < x->rank; i++) state->axes.dims[i] = i == axis ? 1 : dims[i];
    goss_axes_merge(&state->axes);
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "heap of %s%s", state->smallest ? "smallest" : "largest",
             state->places ? ", places" : "");
    return GOSS_OK;
}

const goss_op goss_op_top_k = {.name = "top_k", .code = 26, .inputs = 1, .attributes = 4, .plan = plan};
