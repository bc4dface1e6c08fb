/* Boxes that overlap no better one of their class too much, as rows of batch, class and box.
 *
 * How many there are is known after a run only: the output has memory for the most rows that there can be, and a run
 * sets its first dimension. No operator reads such an output. */
#include <math.h>
#include <string.h>

#include "axes.h"
#include "heap.h"

typedef struct suppression_state {
    size_t classes, boxes, most; /* most: rows of a class */
    size_t all_classes;          /* of all batches */
    float overlap, score;        /* limits: an overlap above, a score not above; NaN: any score */
    bool centered;
} suppression_state;

static float smaller(float a, float b) { return a < b ? a : b; }

/* Whether the area that two boxes share is more than the allowed part of the area that they cover. */
static bool overlap_too_much(const suppression_state *state, const float *a, const float *b)
{
    float areas[2] = {1, 1}, shared = 1;
    for (int axis = 0; axis < 2; axis++, a++, b++) {
        float low = -INFINITY, high = INFINITY;
        for (int i = 0; i < 2; i++) {
            const float *box = i ? b : a, half = box[2] / 2;
            const float begin = state->centered ? box[0] - half : smaller(box[0], box[2]);
            const float end = state->centered ? box[0] + half : -smaller(-box[0], -box[2]);
            areas[i] *= end - begin;
            low = low < begin ? begin : low;
            high = smaller(high, end);
        }
        if (!(low < high)) return false;
        shared *= high - low;
    }
    return shared / (areas[0] + areas[1] - shared) > state->overlap;
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
                               "%u of boxes [batch, n, 4] with scores [batch, classes, n], overlap %g", most,
                               (double)state->overlap);
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
