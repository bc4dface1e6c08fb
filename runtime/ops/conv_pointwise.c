/* Pointwise convolution: the input's planes are used where they lie.
 *
 * A kernel runs all of its rows over one tile of pixels before the next. Weights that no second-level cache holds would
 * come from memory for each tile, so such a layer is cut into parts of its rows that run over all pixels in turn.
 * Planes that no cache holds are cut, too: into groups of pixels that stay while a few rows after the other are
 * written. */
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
    FAR_TILES = 64, /* of a plane from which on every other one lies in another page of memory */
    FAR_ROWS = 16,  /* of such planes, that prefetching and translating addresses keeps up with when they are written */
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

/* As many of `tiles` as a second-level cache holds of planes that have `floats` in each, but not too few. */
static size_t cached_tiles(size_t tiles, size_t floats)
{
    const size_t cached = PART_BYTES / (floats * sizeof(float));
    return tiles < cached ? tiles : cached > GROUP_TILES ? cached : GROUP_TILES;
}

/* Threads share the pixels where there are many; else the rows, balanced by their blocks. Returns into how many parts
 * the rows are to be cut. */
static size_t divide_work(const goss_layer *layer, const goss_conv *conv, pointwise_state *state)
{
    const size_t stride = layer->output->stride, tasks = layer->threads > 1 ? layer->threads * TASKS_PER_THREAD : 1;
    const size_t tile = goss_spmm_tile(layer, conv->weights), tiles = (stride + tile - 1) / tile;
    const bool by_pixels = tiles >= tasks * GROUP_TILES;
    const bool far = tiles >= FAR_TILES && conv->weights->columns * stride * sizeof(float) > PART_BYTES;
    size_t group_tiles = by_pixels ? (tiles + tasks - 1) / tasks : tiles;
    if (conv->activation.kernel) /* follows a group, and finds it in the cache */
        group_tiles = cached_tiles(group_tiles, tile * conv->weights->rows);
    if (far) group_tiles = cached_tiles(group_tiles, tile * conv->weights->columns);

    state->group_pixels = group_tiles * tile;
    state->groups = (tiles + group_tiles - 1) / group_tiles;

    const size_t value_bytes = goss_spmm_value_bytes(conv->weights);
    size_t cuts = group_tiles > 1 ? (value_bytes + PART_BYTES - 1) / PART_BYTES : 1;
    if (!by_pixels && cuts < tasks) cuts = tasks;
    if (far && cuts < conv->weights->rows / FAR_ROWS) cuts = conv->weights->rows / FAR_ROWS;
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
