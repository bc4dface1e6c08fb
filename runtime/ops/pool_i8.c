/* Pooling of quantized tensors, over packed planes. An average is a depthwise convolution with weights of one; what
 * lies around the plane is the zero point and adds nothing. Where a window's pixels do not all count, it is divided by
 * fewer: the output is cut into rectangles whose windows count alike. */
#include <math.h>
#include <stdio.h>

#include "checked.h"
#include "error.h"
#include "pack.h"
#include "pool.h"
#include "pool_window.h"
#include "quantized.h"

enum { MOST_TAPS = 1 << 16 };

typedef struct rectangle {
    size_t row, rows, column, columns;
    float multiplier[GOSS_QUAD]; /* the same for each channel */
} rectangle;

typedef struct pool_state {
    goss_pack pack;
    goss_target_i8 target;
    size_t taps, groups;
    uint32_t *tap_offset; /* [4 * groups] */
    /* The average only. */
    size_t rectangles;
    rectangle *rectangle;
    int8_t *ones; /* [groups][4 channels][4 taps] */
    int32_t start[GOSS_QUAD];
} pool_state;

static void average(const goss_layer *layer, const pool_state *state, const uint8_t *packed, uint8_t *y)
{
    static const float no_bias[GOSS_QUAD] = {0};
    const size_t x_columns = state->pack.args.columns, y_columns = state->pack.out_x;
    for (size_t i = 0; i < state->rectangles; i++) {
        const rectangle *r = &state->rectangle[i];
        layer->kernels->depthwise_i8(&(goss_depthwise_i8_args){
            .x = packed + (r->row * x_columns + r->column) * GOSS_QUAD,
            .weights = state->ones,
            .tap_offset = state->tap_offset,
            .start = state->start,
            .multiplier = r->multiplier,
            .bias = no_bias,
            .y = y + (r->row * y_columns + r->column) * GOSS_QUAD,
            .rows = r->rows,
            .x_columns = x_columns,
            .y_columns = r->columns,
            .groups = state->groups,
            .target = state->target,
        });
    }
}

static void run_quad(const void *context, size_t plane, size_t thread)
{
    const goss_layer *layer = context;
    const pool_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    float *packed = (float *)(void *)layer->scratch + thread * state->pack.plane_floats;
    uint8_t *to = goss_bytes(y) + plane * y->stride * GOSS_QUAD;

    goss_pack_plane(layer, &state->pack, x->data + plane * x->stride, packed);
    if (state->rectangle)
        average(layer, state, (const uint8_t *)packed, to);
    else
        layer->kernels->max_pool_i8(&(goss_max_pool_i8_args){
            .x = (const uint8_t *)packed,
            .tap_offset = state->tap_offset,
            .y = to,
            .rows = state->pack.out_y,
            .x_columns = state->pack.args.columns,
            .y_columns = state->pack.out_x,
            .taps = state->taps,
        });
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->planes, run_quad, layer);
}

/* The window as a convolution's kernel, for packing. */
static goss_conv as_conv(const goss_value *x, const goss_pool_axis *rows, const goss_pool_axis *columns)
{
    return (goss_conv){
        .stride_y = (uint32_t)rows->stride,
        .stride_x = (uint32_t)columns->stride,
        .pad_top = (uint32_t)rows->pad_before,
        .pad_left = (uint32_t)columns->pad_before,
        .dilation_y = (uint32_t)rows->dilation,
        .dilation_x = (uint32_t)columns->dilation,
        .kernel_y = (uint32_t)rows->kernel,
        .kernel_x = (uint32_t)columns->kernel,
        .in_y = (uint32_t)rows->in,
        .in_x = (uint32_t)columns->in,
        .out_y = (uint32_t)rows->out,
        .out_x = (uint32_t)columns->out,
        .x = x,
    };
}

/* Windows from `first` on that count as many pixels as that one. */
static size_t alike(const goss_pool_axis *axis, size_t first)
{
    size_t end = first + 1;
    while (end < axis->out && goss_pool_counted(axis, end) == goss_pool_counted(axis, first)) end++;
    return end - first;
}

/* Fills the rectangles, or counts them where there is no place for them yet. Rectangles of several rows take whole
 * rows. Fails where a window counts no pixel. */
static goss_status cut(const goss_layer *layer, pool_state *state, const goss_pool_axis *y, const goss_pool_axis *x,
                       goss_error *error)
{
    const double scale = (double)layer->inputs[0]->scale / (double)layer->output->scale;
    const bool whole_rows = alike(x, 0) == x->out;
    state->rectangles = 0;
    for (size_t row = 0, rows; row < y->out; row += rows) {
        rows = whole_rows ? alike(y, row) : 1;
        for (size_t column = 0, columns; column < x->out; column += columns) {
            columns = alike(x, column);
            const int64_t counted = goss_pool_counted(y, row) * goss_pool_counted(x, column);
            if (counted <= 0)
                return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "no pixel of window %zu, %zu counts", row,
                                       column);
            rectangle r = {row, rows, column, columns, {0}};
            const goss_status status = goss_layer_factor(layer, scale, (double)counted, &r.multiplier[0], error);
            if (status) return status;
            for (size_t c = 1; c < GOSS_QUAD; c++) r.multiplier[c] = r.multiplier[0];
            if (state->rectangle) state->rectangle[state->rectangles] = r;
            state->rectangles++;
        }
    }
    return GOSS_OK;
}

static void fill_taps(const goss_layer *layer, pool_state *state, const goss_conv *conv)
{
    for (size_t i = 0; i < state->groups * GOSS_QUAD; i++) {
        const size_t tap = i < state->taps ? i : 0;
        const uint32_t ky = (uint32_t)(tap / conv->kernel_x), kx = (uint32_t)(tap % conv->kernel_x);
        state->tap_offset[i] = (uint32_t)(goss_pack_tap(&state->pack, conv, ky, kx) * sizeof(float));
        for (size_t c = 0; state->rectangle && c < GOSS_QUAD; c++)
            state->ones[(i / GOSS_QUAD * GOSS_QUAD + c) * GOSS_QUAD + i % GOSS_QUAD] = i < state->taps;
    }
    for (size_t c = 0; c < GOSS_QUAD; c++) state->start[c] = -(int32_t)state->taps * layer->inputs[0]->zero_point;
}

/* The state, with room for what belongs to it. */
static goss_status allocate(goss_layer *layer, const pool_state *plan, bool average, goss_error *error)
{
    const size_t groups = plan->groups, rectangles = average ? plan->rectangles : 0;
    const size_t tap_bytes = groups * GOSS_QUAD * sizeof(uint32_t), ones = average ? groups * GOSS_QUAD * GOSS_QUAD : 0;
    size_t bytes = 0;
    if (!checked_multiply(rectangles, sizeof(rectangle), &bytes) ||
        !checked_add(bytes, sizeof *plan + tap_bytes + ones, &bytes))
        return goss_fail_out_of_memory(error, SIZE_MAX, layer->name);
    const goss_status status = goss_layer_allocate_state(layer, bytes, error);
    if (status) return status;
    pool_state *state = layer->state;
    *state = *plan;
    state->rectangle = average ? (rectangle *)(void *)(state + 1) : NULL;
    state->tap_offset = (uint32_t *)(void *)((unsigned char *)(state + 1) + rectangles * sizeof(rectangle));
    state->ones = (int8_t *)(void *)(state->tap_offset + groups * GOSS_QUAD);
    return GOSS_OK;
}

goss_status goss_pool_i8_plan(goss_layer *layer, bool average, const goss_pool_axis *y, const goss_pool_axis *x,
                              goss_error *error)
{
    const goss_conv conv = as_conv(layer->inputs[0], y, x);
    pool_state plan = {.taps = y->kernel * x->kernel, .target = goss_target_of(layer->output, -INFINITY, INFINITY)};
    plan.groups = (plan.taps + GOSS_QUAD - 1) / GOSS_QUAD;
    if (plan.taps > MOST_TAPS)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "windows of %zu pixels of u7; at most %d", plan.taps,
                               MOST_TAPS);
    goss_status status = goss_pack_plan(layer, &conv, &plan.pack, error);
    if (!status && average) status = cut(layer, &plan, y, x, error);
    if (!status) status = allocate(layer, &plan, average, error);
    if (status) return status;

    pool_state *state = layer->state;
    if (average) status = cut(layer, state, y, x, error);
    if (status) return status;
    if (!average) state->pack.args.outside = 0; /* the smallest number */
    fill_taps(layer, state, &conv);
    if (!checked_multiply(state->pack.plane_floats, layer->threads * sizeof(float), &layer->scratch_bytes))
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "a padded plane is larger than 4 GiB");
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "packed + %s",
             average ? "depthwise_i8 of ones" : "max_pool_i8");
    return GOSS_OK;
}
