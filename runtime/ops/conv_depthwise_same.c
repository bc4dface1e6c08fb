/* Depthwise convolution that keeps the size of its planes: they are used where they lie. Only pixels whose kernel
 * reaches beyond the plane's first or last pixel are computed from a copy, which has zeros there. */
#include <stdio.h>
#include <string.h>

#include "checked.h"
#include "conv.h"
#include "error.h"
#include "memory.h"
#include "pool.h"

enum {
    LONGEST_PERIOD = 8192, /* floats: masks should stay in the cache */
    MASK_ROOM = 64,
};

typedef struct same_state {
    goss_depthwise_same_f32_args args; /* all but x, weights, y, pixels, place, bias */
    size_t reach_before, reach_behind; /* floats that the kernel reads before and behind a pixel */
    size_t inner, inner_end;           /* pixels that read inside the plane only */
    size_t copy_floats;
    size_t multiplier; /* output channels an input channel */
} same_state;

bool goss_conv_depthwise_keeps_size(const goss_layer *layer, const goss_conv *conv)
{
    const bool same =
        conv->stride_y == 1 && conv->stride_x == 1 && conv->out_y == conv->in_y && conv->out_x == conv->in_x;
    return same && (size_t)conv->in_x * layer->kernels->lanes <= LONGEST_PERIOD;
}

/* ---- Running -------------------------------------------------------------------------------------------- */

static void run_pixels(const goss_layer *layer, goss_depthwise_same_f32_args *args, const float *x, size_t first,
                       size_t end, float *y)
{
    if (first == end) return;
    args->x = x;
    args->y = y + first;
    args->pixels = end - first;
    args->place = first % args->period;
    layer->kernels->depthwise_same_f32(args);
}

/* Copies pixels [first - reach_before, end + reach_behind) of a plane, zeros outside it; returns where `first` lies. */
static const float *copy_padded(const goss_layer *layer, const float *x, size_t first, size_t end, float *copy)
{
    const same_state *state = layer->state;
    const size_t pixels = layer->output->pixels, before = state->reach_before, behind = end + state->reach_behind;
    const size_t missing = first < before ? before - first : 0, from = first + missing - before;
    const size_t to = behind < pixels ? behind : pixels, count = to > from ? to - from : 0;

    memset(copy, 0, missing * sizeof *copy);
    memcpy(copy + missing, x + from, count * sizeof *copy);
    memset(copy + missing + count, 0, (before + behind - first - missing - count) * sizeof *copy);
    return copy + before;
}

/* One input channel and the output channels that come of it. */
static void run_channel(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const same_state *state = layer->state;
    const goss_value *value = layer->inputs[0], *output = layer->output;
    const float *x = value->data + index * value->stride;
    float *copy = (float *)(void *)layer->scratch + thread * 2 * state->copy_floats;
    const float *head = copy_padded(layer, x, 0, state->inner, copy);
    const float *tail = copy_padded(layer, x, state->inner_end, output->stride, copy + state->copy_floats);

    for (size_t i = 0; i < state->multiplier; i++) {
        const size_t channel = index * state->multiplier + i, row = channel % output->channels; /* of the weights */
        float *y = output->data + channel * output->stride;
        goss_depthwise_same_f32_args args = state->args;
        args.weights = layer->weights[1]->values + row * layer->weights[1]->columns;
        args.bias = layer->weights[2]->values[row];
        run_pixels(layer, &args, head, 0, state->inner, y);
        run_pixels(layer, &args, x + state->inner, state->inner, state->inner_end, y);
        run_pixels(layer, &args, tail, state->inner_end, output->stride, y);
    }
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->inputs[0]->images * layer->inputs[0]->channels, run_channel, layer);
}

/* ---- Planning ------------------------------------------------------------------------------------------- */

static size_t period_of(const goss_layer *layer, const goss_conv *conv)
{
    size_t period = conv->in_x;
    while (period % layer->kernels->lanes != 0) period += conv->in_x;
    return period;
}

/* Whether column `shift` pixels to the right of x lies inside a row. */
static bool inside(size_t x, ptrdiff_t shift, size_t width)
{
    const ptrdiff_t column = (ptrdiff_t)x + shift;
    return column >= 0 && (size_t)column < width;
}

static void fill_mask(uint32_t *mask, size_t words, ptrdiff_t shift, size_t width)
{
    for (size_t i = 0; i < words; i++) mask[i] = inside(i % width, shift, width) ? UINT32_MAX : 0;
}

/* The pointers and masks behind the state, in its block. */
static void plan_columns(const goss_conv *conv, same_state *state, const float **masks, ptrdiff_t *offsets,
                         uint32_t *words)
{
    const size_t mask_words = state->args.period + MASK_ROOM;
    const ptrdiff_t rows_above = (ptrdiff_t)conv->pad_top * (ptrdiff_t)conv->in_x;
    for (uint32_t column = 0; column < conv->kernel_x; column++) {
        const ptrdiff_t shift = (ptrdiff_t)column * (ptrdiff_t)conv->dilation_x - (ptrdiff_t)conv->pad_left;
        offsets[column] = shift - rows_above;
        masks[column] = NULL;
        if (shift == 0) continue;
        fill_mask(words + column * mask_words, mask_words, shift, conv->in_x);
        masks[column] = (const float *)(const void *)(words + column * mask_words);
    }
    state->args.masks = masks;
    state->args.column_offset = offsets;
}

static void plan_reach(const goss_layer *layer, const goss_conv *conv, same_state *state)
{
    const size_t lanes = layer->kernels->lanes, pixels = layer->output->pixels, stride = layer->output->stride;
    const size_t rows = (size_t)(conv->kernel_y - 1) * conv->dilation_y - conv->pad_top;
    const size_t columns = (size_t)(conv->kernel_x - 1) * conv->dilation_x - conv->pad_left;
    state->reach_before = (size_t)conv->pad_top * conv->in_x + conv->pad_left;
    state->reach_behind = rows * conv->in_x + columns;

    const size_t first = (state->reach_before + lanes - 1) / lanes * lanes;
    const size_t end = pixels > state->reach_behind ? (pixels - state->reach_behind) / lanes * lanes : 0;
    state->inner = first < end ? first : stride;
    state->inner_end = first < end ? end : stride;
    const size_t copied = state->inner > stride - state->inner_end ? state->inner : stride - state->inner_end;
    state->copy_floats = copied + state->reach_before + state->reach_behind;
}

goss_status goss_conv_depthwise_same_plan(goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const size_t period = period_of(layer, conv), columns = conv->kernel_x;
    const size_t column_bytes = sizeof(const float *) + sizeof(ptrdiff_t) + (period + MASK_ROOM) * sizeof(uint32_t);
    size_t bytes = 0;
    if (!checked_multiply(columns, column_bytes, &bytes) || !checked_add(bytes, sizeof(same_state), &bytes))
        return goss_fail(error, GOSS_UNSUPPORTED, "node '%.60s' (conv): a kernel of %zu columns is too wide",
                         layer->name, columns);
    const goss_status status = goss_layer_allocate_state(layer, bytes, error);
    if (status) return status;

    same_state *state = layer->state;
    state->args = (goss_depthwise_same_f32_args){
        .row_offset = (ptrdiff_t)conv->dilation_y * (ptrdiff_t)conv->in_x,
        .period = period,
        .kernel_y = conv->kernel_y,
        .kernel_x = columns,
        .min = conv->min,
        .max = conv->max,
    };
    state->multiplier = conv->weights->rows / conv->groups;
    const float **masks = (const float **)(void *)(state + 1);
    ptrdiff_t *offsets = (ptrdiff_t *)(void *)(masks + columns);
    plan_columns(conv, state, masks, offsets, (uint32_t *)(void *)(offsets + columns));
    plan_reach(layer, conv, state);
    if (!checked_multiply(2 * state->copy_floats, layer->threads * sizeof(float), &layer->scratch_bytes))
        return goss_fail(error, GOSS_UNSUPPORTED, "node '%.60s' (conv): a padded plane is larger than 4 GiB",
                         layer->name);

    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "depthwise_same_f32");
    snprintf(layer->reason, sizeof layer->reason, "depthwise: one %ux%u filter a channel; planes keep their size",
             conv->kernel_y, conv->kernel_x);
    return GOSS_OK;
}
