/* Boxes that overlap no better one of their class too much, as rows of batch, class and box.
 *
 * How many there are is known after a run only: the output has memory for the most rows that there can be, and a run
 * sets its first dimension. No operator reads such an output. */
#include <string.h>

#include "axes.h"
#include "heap.h"

typedef struct suppression_state {
    size_t classes, boxes, most; /* most: rows of a class */
    size_t all_classes;          /* of all batches */
    float overlap, score;        /* limits: an overlap above, a score not above; NaN: any score */
    bool centered;
} suppression_state;

/* Where a box begins or ends along an axis. */
static float side(const suppression_state *state, const float *box, bool end)
{
    const float half = box[2] / 2;
    if (state->centered) return box[0] + (end ? half : -half);
    return box[(box[0] < box[2]) == end ? 2 : 0];
}

/* Whether the area that two boxes share is more than the allowed part of the area that they cover. */
static bool overlap_too_much(const suppression_state *state, const float *a, const float *b)
{
    float area_a = 1, area_b = 1, shared = 1;
    for (int axis = 0; axis < 2; axis++, a++, b++) {
        const float begin_a = side(state, a, false), begin_b = side(state, b, false);
        const float end_a = side(state, a, true), end_b = side(state, b, true);
        const float size = (end_a < end_b ? end_a : end_b) - (begin_a < begin_b ? begin_b : begin_a);
        if (!(size > 0)) return false;
        shared *= size;
        area_a *= end_a - begin_a;
        area_b *= end_b - begin_b;
    }
    return shared / (area_a + area_b - shared) > state->overlap;
}

/* Moves places from a heap to rows of which none overlaps another; returns how many. */
static size_t keep(const suppression_state *state, const float *boxes, const goss_heap *heap, size_t count, float *rows)
{
    size_t kept = 0;
    while (count > 0 && kept < state->most) {
        const float place = heap->places[0], last = heap->places[--count];
        goss_heap_sift_down(heap, 0, count, last);
        size_t i = 0;
        while (i < kept && !overlap_too_much(state, boxes + 4 * (size_t)place, boxes + 4 * (size_t)rows[3 * i + 2]))
            i++;
        if (i == kept) rows[3 * kept++ + 2] = place;
    }
    return kept;
}

static void run(const goss_layer *layer)
{
    const suppression_state *state = layer->state;
    const float *boxes = goss_layer_operand_data(layer, 0), *scores = goss_layer_operand_data(layer, 1);
    float *row = layer->output->data;
    for (size_t i = 0; i < state->all_classes; i++, scores += state->boxes) {
        const goss_heap heap = {
            .x = scores, .places = (float *)(void *)layer->scratch, .x_step = 1, .step = 1, .best_first = true};
        const size_t batch = i / state->classes;
        size_t count = 0;
        for (size_t box = 0; box < state->boxes; box++)
            if (!(scores[box] <= state->score)) heap.places[count++] = (float)box;
        goss_heap_make(&heap, count);
        for (size_t left = keep(state, boxes + 4 * batch * state->boxes, &heap, count, row); left > 0; left--) {
            *row++ = (float)batch;
            *row++ = (float)(i % state->classes);
            row++;
        }
    }
    layer->output->dims[0] = (uint32_t)((size_t)(row - layer->output->data) / 3);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_operand boxes, scores;
    goss_status status = goss_layer_operand(layer, 0, &boxes, error);
    if (!status) status = goss_layer_operand(layer, 1, &scores, error);
    if (!status) status = goss_layer_allocate_state(layer, sizeof(suppression_state), error);
    if (status) return status;
    suppression_state *state = layer->state;
    const uint32_t *shape = scores.dims, most = goss_layer_u32(layer, 0);
    memcpy(&state->overlap, layer->attributes + 4, sizeof state->overlap);
    memcpy(&state->score, layer->attributes + 12, sizeof state->score);
    if (boxes.rank != 3 || scores.rank != 3 || boxes.dims[0] != shape[0] || boxes.dims[1] != shape[2] ||
        boxes.dims[2] != 4 || (shape[0] | shape[1] | shape[2]) >> 24 || most < 1 ||
        !(state->overlap >= 0 && state->overlap <= 1))
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "boxes [batch, n, 4], scores [batch, classes, n], a count, an overlap up to 1 expected");
    state->classes = shape[1];
    state->boxes = shape[2];
    state->all_classes = (size_t)shape[0] * shape[1];
    state->most = most < shape[2] ? most : shape[2];
    state->centered = goss_layer_u32(layer, 2) != 0;
    layer->output->rows_vary = true;
    layer->run = run;
    memcpy(layer->kernel_name, "heap of scores", sizeof "heap of scores");
    status = goss_layer_need_scratch(layer, state->boxes, error);
    if (status) return status;
    const uint32_t dims[] = {(uint32_t)(state->all_classes * state->most), 3};
    return goss_value_set_shape(layer->output, 2, dims, layer->kernels->lanes, error);
}

const goss_op goss_op_non_max_suppression = {
    .name = "non_max_suppression", .code = 27, .inputs = 2, .attributes = 4, .plan = plan};
