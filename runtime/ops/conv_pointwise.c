/* Pointwise convolution: the input's planes are used where they lie.
 *
 * A kernel runs all of its rows over one tile of pixels before the next. Weights that no second-level cache holds would
 * come from memory for each tile, so such a layer is cut into parts of its rows that run over all pixels in turn. */
#include <stdio.h>

#include "conv.h"
#include "pool.h"
#include "spmm.h"

enum {
    TASKS_PER_THREAD = 4, /* so that threads of unequal speed end together */
    GROUP_TILES = 4,      /* a task with fewer pixel tiles reads its weights for too little work */
    /* What stays in a second-level cache, beside planes. Cutting 4 MB over 49 pixels gains 4 % where that cache has 1
     * MB and memory is fast. */
    PART_BYTES = 256 * 1024,
};

typedef struct pointwise_state {
    size_t groups, group_pixels; /* of pixels: what one task takes */
    goss_spmm spmm;
    uint32_t words[];
} pointwise_state;

/* One part of the rows times one group of the pixels of one image. Neighbouring tasks share the pixels. */
static void run_task(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const pointwise_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *residual = layer->inputs[3], *y = layer->output;
    (void)thread;

    const size_t group = index / state->spmm.parts % state->groups, image = index / state->spmm.parts / state->groups;
    const size_t pixel = group * state->group_pixels, left = y->stride - pixel;
    const size_t in = image * x->planes * x->stride + pixel, out = image * y->planes * y->stride + pixel;
    goss_spmm_run_part(&state->spmm.part[index % state->spmm.parts], x->data + in,
                       residual ? residual->data + out : NULL, y->data + out, y->stride,
                       left < state->group_pixels ? left : state->group_pixels);
}

static void run(const goss_layer *layer)
{
    const pointwise_state *state = layer->state;
    goss_pool_run(layer->pool, layer->output->images * state->groups * state->spmm.parts, run_task, layer);
}

/* Threads share the pixels where there are many; else the rows, balanced by their blocks. Returns into how many parts
 * the rows are to be cut. */
static size_t divide_work(const goss_layer *layer, const goss_conv *conv, pointwise_state *state)
{
    const size_t stride = layer->output->stride, tasks = layer->threads > 1 ? layer->threads * TASKS_PER_THREAD : 1;
    const size_t tile = goss_spmm_tile(layer, conv->weights), tiles = (stride + tile - 1) / tile;
    const bool by_pixels = tiles >= tasks * GROUP_TILES;
    size_t group_tiles = by_pixels ? (tiles + tasks - 1) / tasks : tiles;
    if (conv->activation.kernel) { /* follows a group, and finds it in the cache */
        const size_t cached = PART_BYTES / (conv->weights->rows * tile * sizeof(float));
        if (group_tiles > cached) group_tiles = cached > GROUP_TILES ? cached : GROUP_TILES;
    }

    state->group_pixels = group_tiles * tile;
    state->groups = (tiles + group_tiles - 1) / group_tiles;

    const size_t value_bytes = goss_spmm_value_bytes(conv->weights);
    const size_t cached = group_tiles > 1 ? (value_bytes + PART_BYTES - 1) / PART_BYTES : 1;
    const size_t cuts = by_pixels || tasks < cached ? cached : tasks;
    return cuts < 1 ? 1 : cuts < GOSS_SPMM_CUTS ? cuts : GOSS_SPMM_CUTS;
}

goss_status goss_conv_pointwise_plan(goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const size_t columns = conv->weights->columns, words = goss_spmm_words(conv->weights);
    const goss_status status =
        goss_layer_allocate_state(layer, sizeof(pointwise_state) + words * sizeof(uint32_t), error);
    if (status) return status;

    pointwise_state *state = layer->state;
    uint32_t *column_offset = goss_spmm_column_offsets(conv->weights, state->words);
    for (size_t c = 0; c < columns; c++) column_offset[c] = (uint32_t)(c * conv->x->stride * sizeof(float));
    const goss_spmm_problem problem = {
        .weights = conv->weights,
        .bias = conv->bias,
        .min = conv->min,
        .max = conv->max,
        .activation = conv->activation.kernel,
        .cuts = divide_work(layer, conv, state),
    };
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "pointwise_%s%s", goss_weights_pattern(conv->weights),
             conv->residual ? " + add" : "");
    return goss_spmm_plan(layer, &problem, state->words, &state->spmm, error);
}
