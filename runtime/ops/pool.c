/* Largest value, or average, under windows that slide over each channel. */
#include <stdio.h>

#include "checked.h"
#include "pool_window.h"
#include "quantized.h"

enum {
    LARGEST = 1 << 15, /* of every attribute */
    ROOM = 16,         /* floats: the widest vector */
    WINDOW_WORDS = 10,
    COUNTED_WORDS = 4,
};

typedef struct pool_state {
    goss_pool_f32_args args; /* all but x, y and row */
    void (*kernel)(const goss_pool_f32_args *);
    float shares[]; /* the average only: of rows, then of columns */
} pool_state;

static void run_channel(const void *context, size_t channel, size_t thread)
{
    const goss_layer *layer = context;
    const pool_state *state = layer->state;
    goss_pool_f32_args args = state->args;
    args.x = layer->inputs[0]->data + channel * layer->inputs[0]->stride;
    args.y = layer->output->data + channel * layer->output->stride;
    args.row = (float *)(void *)layer->scratch + thread * args.row_floats;
    state->kernel(&args);
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->channels, run_channel, layer);
}

/* Words that are 1 to 32768, or, for padding and what counts of it, 0 to 32768. */
static goss_status check_words(const goss_layer *layer, goss_error *error)
{
    for (uint32_t i = 0; i < layer->op->attributes; i++) {
        const uint32_t word = goss_layer_u32(layer, i), least = i < 4 || i == 8 || i == 9;
        if (word < least || word > LARGEST)
            return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "attribute word %u is %u, %u to %d expected", i,
                                   word, least, LARGEST);
    }
    return GOSS_OK;
}

/* `out` is 0 where the window does not fit. */
static goss_pool_axis read_axis(const goss_layer *layer, uint32_t which)
{
    goss_pool_axis a = {
        .in = layer->inputs[0]->dims[2 + which],
        .kernel = goss_layer_u32(layer, which),
        .stride = goss_layer_u32(layer, 2 + which),
        .pad_before = goss_layer_u32(layer, 4 + which),
        .pad_after = goss_layer_u32(layer, 6 + which),
        .dilation = goss_layer_u32(layer, 8 + which),
    };
    const uint64_t padded = (uint64_t)a.in + a.pad_before + a.pad_after,
                   reach = (uint64_t)(a.kernel - 1) * a.dilation + 1;
    a.out = padded < reach ? 0 : (size_t)((padded - reach) / a.stride + 1);
    a.counted_before = goss_layer_u32(layer, WINDOW_WORDS + which);
    a.counted_end = (int64_t)a.in + goss_layer_u32(layer, WINDOW_WORDS + 2 + which);
    return a;
}

/* Numbers below `end` among first, first + step, ..., of which there are `count`. */
static int64_t below(int64_t end, int64_t first, int64_t step, int64_t count)
{
    const int64_t found = end > first ? (end - first + step - 1) / step : 0;
    return found < count ? found : count;
}

int64_t goss_pool_counted(const goss_pool_axis *axis, size_t index)
{
    const int64_t step = (int64_t)axis->dilation, count = (int64_t)axis->kernel;
    const int64_t first = (int64_t)(index * axis->stride) - (int64_t)axis->pad_before;
    return below(axis->counted_end, first, step, count) - below(-axis->counted_before, first, step, count);
}

/* One divided by how many of a window's pixels count, for each window. Fails where none does. */
static goss_status fill_shares(const goss_layer *layer, const goss_pool_axis *axis, float *shares, goss_error *error)
{
    for (size_t i = 0; i < axis->out; i++) {
        const int64_t counted = goss_pool_counted(axis, i);
        if (counted <= 0) return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "no pixel of window %zu counts", i);
        shares[i] = 1.0f / (float)counted;
    }
    return GOSS_OK;
}

static goss_status plan_average(const goss_layer *layer, goss_pool_axis y, goss_pool_axis x, pool_state *state,
                                goss_error *error)
{
    float *share_y = state->shares, *share_x = share_y + y.out;
    for (size_t i = 0; i < ROOM; i++) share_x[x.out + i] = 0;
    const goss_status status = fill_shares(layer, &y, share_y, error);
    state->args.share_y = share_y;
    state->args.share_x = share_x;
    return status ? status : fill_shares(layer, &x, share_x, error);
}

static goss_status plan_scratch(goss_layer *layer, goss_pool_axis x, pool_state *state, goss_error *error)
{
    const size_t read = (x.out - 1) * x.stride + (x.kernel - 1) * x.dilation, written = x.pad_before + x.in;
    if (!checked_align_up((read > written ? read : written) + GOSS_POOL_ROOM, ROOM, &state->args.row_floats) ||
        !checked_multiply(state->args.row_floats, layer->threads * sizeof(float), &layer->scratch_bytes))
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "needs more than 4 GiB of scratch");
    return GOSS_OK;
}

static goss_status plan(goss_layer *layer, bool average, goss_error *error)
{
    const bool quantized = goss_layer_is_quantized(layer);
    goss_status status = GOSS_OK;
    if (!quantized)
        status = goss_layer_need_f32(layer, 1, error);
    else
        status = average ? goss_layer_need_u7_output(layer, error) : goss_layer_need_same_scale(layer, error);
    if (!status) status = check_words(layer, error);
    if (status) return status;
    const goss_value *value = layer->inputs[0];
    if (value->rank != 4) return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "rank %u, 4 expected", value->rank);
    const goss_pool_axis y = read_axis(layer, 0), x = read_axis(layer, 1);
    if (y.out == 0 || x.out == 0)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "a window of %zux%zu does not fit into %zux%zu pixels",
                               y.kernel, x.kernel, y.in, x.in);
    const uint32_t dims[4] = {value->dims[0], value->dims[1], (uint32_t)y.out, (uint32_t)x.out};
    status = goss_value_set_shape(layer->output, 4, dims, layer->kernels->lanes, error);
    if (!status && quantized) return goss_pool_i8_plan(layer, average, &y, &x, error);
    const size_t shares = average ? y.out + x.out + ROOM : 0;
    if (!status) status = goss_layer_allocate_state(layer, sizeof(pool_state) + shares * sizeof(float), error);
    if (status) return status;

    pool_state *state = layer->state;
    state->kernel = average ? layer->kernels->average_pool_f32 : layer->kernels->max_pool_f32;
    state->args = (goss_pool_f32_args){
        .y_floats = layer->output->stride,
        .in_y = y.in,
        .in_x = x.in,
        .out_y = y.out,
        .out_x = x.out,
        .kernel_y = y.kernel,
        .kernel_x = x.kernel,
        .stride_y = y.stride,
        .stride_x = x.stride,
        .dilation_y = y.dilation,
        .dilation_x = x.dilation,
        .pad_top = y.pad_before,
        .pad_left = x.pad_before,
    };
    if (average) status = plan_average(layer, y, x, state, error);
    if (!status) status = plan_scratch(layer, x, state, error);
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s", average ? "average_pool_f32" : "max_pool_f32");
    return status;
}

static goss_status plan_max(goss_layer *layer, goss_error *error) { return plan(layer, false, error); }
static goss_status plan_mean(goss_layer *layer, goss_error *error) { return plan(layer, true, error); }

const goss_op goss_op_max_pool = {
    .name = "max_pool", .code = 11, .inputs = 1, .attributes = WINDOW_WORDS, .quantized = true, .plan = plan_max};
const goss_op goss_op_average_pool = {.name = "average_pool",
                                      .code = 12,
                                      .inputs = 1,
                                      .attributes = WINDOW_WORDS + COUNTED_WORDS,
                                      .quantized = true,
                                      .plan = plan_mean};
