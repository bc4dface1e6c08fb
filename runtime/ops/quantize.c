/* From f32 to quantized tensors and back. Threads take quads of channels, or rows of pixels. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "quantized.h"
#include "round_i8.h"

typedef struct quantize_state {
    float multiplier;
    goss_target_i8 target;
} quantize_state;

/* Channels of a value in the quad of that number. */
static size_t quad_channels(const goss_value *value, size_t quad)
{
    const size_t left = value->channels - quad * GOSS_QUAD;
    return left < GOSS_QUAD ? left : GOSS_QUAD;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* ---- quantize -------------------------------------------------------------------------------------------- */

/* What pads the last quad is its last channel once more. */
static void quantize_plane(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const quantize_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t image = index / y->planes, quad = index % y->planes, last = quad_channels(y, quad) - 1;
    goss_quantize_i8_args args = {.y = goss_bytes(y) + index * y->stride * GOSS_QUAD,
                                  .count = y->stride,
                                  .multiplier = state->multiplier,
                                  .target = state->target};
    (void)thread;
    for (size_t c = 0; c < GOSS_QUAD; c++)
        args.x[c] = x->data + (image * x->channels + quad * GOSS_QUAD + smaller(c, last)) * x->stride;
    layer->kernels->quantize_i8(&args);
}

static void quantize_planes(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->planes, quantize_plane, layer);
}

static void quantize_flat(const goss_layer *layer)
{
    const quantize_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const float *from = x->data;
    for (size_t image = 0; image < y->images; image++, from += x->channels) {
        uint8_t *to = goss_bytes(y) + image * y->planes * GOSS_QUAD;
        for (size_t c = 0; c < x->channels; c++) to[c] = round_i8(from[c] * state->multiplier, state->target);
    }
}

static goss_status plan_quantize(goss_layer *layer, goss_error *error)
{
    quantize_state state = {.target = goss_target_of(layer->output, -INFINITY, INFINITY)};
    goss_status status = goss_layer_need_value(layer, 0, error);
    if (!status) status = goss_layer_need_u7_output(layer, error);
    if (!status) status = goss_layer_factor(layer, 1, (double)layer->output->scale, &state.multiplier, error);
    if (!status) status = goss_layer_allocate_state(layer, sizeof state, error);
    if (status) return status;
    memcpy(layer->state, &state, sizeof state);
    const goss_value *x = layer->inputs[0];
    layer->run = x->rank == 4 ? quantize_planes : quantize_flat;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "quantize_i8");
    return goss_value_set_shape(layer->output, x->rank, x->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_quantize = {
    .name = "quantize", .code = 41, .inputs = 1, .attributes = 0, .quantized = true, .plan = plan_quantize};

/* ---- dequantize ------------------------------------------------------------------------------------------ */

static void dequantize_plane(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t image = index / x->planes, quad = index % x->planes;
    (void)thread;
    layer->kernels->dequantize_i8(&(goss_dequantize_i8_args){
        .x = goss_bytes(x) + index * x->stride * GOSS_QUAD,
        .y = y->data + (image * y->channels + quad * GOSS_QUAD) * y->stride,
        .channels = quad_channels(x, quad),
        .y_stride = y->stride,
        .count = x->stride,
        .zero_point = x->zero_point,
        .scale = x->scale,
    });
}

static void dequantize_planes(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->inputs[0]->images * layer->inputs[0]->planes, dequantize_plane, layer);
}

static void dequantize_flat(const goss_layer *layer)
{
    const goss_value *x = layer->inputs[0], *y = layer->output;
    float *to = y->data;
    for (size_t image = 0; image < x->images; image++, to += y->channels) {
        const uint8_t *from = goss_bytes(x) + image * x->planes * GOSS_QUAD;
        for (size_t c = 0; c < x->channels; c++) to[c] = (float)(from[c] - x->zero_point) * x->scale;
    }
}

static goss_status plan_dequantize(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_u7(layer, 0, error);
    if (!status) status = goss_layer_need_f32_output(layer, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    layer->run = x->rank == 4 ? dequantize_planes : dequantize_flat;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "dequantize_i8");
    return goss_value_set_shape(layer->output, x->rank, x->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_dequantize = {
    .name = "dequantize", .code = 42, .inputs = 1, .attributes = 0, .plan = plan_dequantize};

/* ---- quantize_pixels ------------------------------------------------------------------------------------- */

enum { BYTE_VALUES = 256 };

/* Interleaved pixels. A byte has 256 values, so all answers are known when planning. */
typedef struct pixels_state {
    goss_target_i8 target;
    const float *mean;   /* [channels] */
    float *multiplier;   /* [channels] */
    uint8_t *table;      /* [channels][256]; NULL where pixels are f32 */
    float multipliers[]; /* then the table */
} pixels_state;

static uint8_t quantize_pixel(const pixels_state *state, size_t channel, float x)
{
    return round_i8((x - state->mean[channel]) * state->multiplier[channel], state->target);
}

/* One row of pixels. What pads the last quad is 0. */
static void quantize_row(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const pixels_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t rows = x->dims[1], columns = x->dims[2], channels = x->dims[3];
    const size_t image = index / rows, row = index % rows;
    const uint8_t *bytes = goss_bytes(x) + index * x->stride;
    const float *floats = x->data + index * x->stride;
    (void)thread;
    for (size_t quad = 0; quad < y->planes; quad++) {
        uint8_t *to = goss_bytes(y) + ((image * y->planes + quad) * y->stride + row * columns) * GOSS_QUAD;
        const size_t first = quad * GOSS_QUAD, count = quad_channels(y, quad);
        memset(to, 0, columns * GOSS_QUAD);
        for (size_t c = 0; c < count; c++) {
            const size_t channel = first + c;
            if (state->table)
                for (size_t i = 0; i < columns; i++)
                    to[i * GOSS_QUAD + c] = state->table[channel * BYTE_VALUES + bytes[i * channels + channel]];
            else
                for (size_t i = 0; i < columns; i++)
                    to[i * GOSS_QUAD + c] = quantize_pixel(state, channel, floats[i * channels + channel]);
        }
    }
}

static void quantize_pixels(const goss_layer *layer)
{
    const goss_value *x = layer->inputs[0];
    goss_pool_run(layer->pool, (size_t)x->dims[0] * x->dims[1], quantize_row, layer);
}

static goss_status check_pixels(const goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_input(layer, 0, error);
    if (!status) status = goss_layer_need_weights(layer, 1, 2, error);
    if (!status) status = goss_layer_need_u7_output(layer, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const goss_weights *normalization = layer->weights[1];
    if (x->rank == 4 && x->dtype != GOSS_DTYPE_U7 && normalization->rows == 2 && normalization->columns == x->dims[3] &&
        !normalization->sparse && normalization->block_rows == 1)
        return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                           "normalization of %zu x %zu values, '%.60s' of rank %u; 2 x C, "
                           "dense, in blocks of 1, and [N,H,W,C] of u8 or f32 expected",
                           normalization->rows, normalization->columns, x->name, x->rank);
}

static goss_status fill_tables(const goss_layer *layer, pixels_state *state, size_t channels, goss_error *error)
{
    const float *scale = state->mean + channels;
    for (size_t c = 0; c < channels; c++) {
        const goss_status status =
            goss_layer_factor(layer, (double)scale[c], (double)layer->output->scale, &state->multiplier[c], error);
        if (status) return status;
        for (size_t i = 0; state->table && i < BYTE_VALUES; i++)
            state->table[c * BYTE_VALUES + i] = quantize_pixel(state, c, (float)i);
    }
    return GOSS_OK;
}

static goss_status plan_pixels(goss_layer *layer, goss_error *error)
{
    goss_status status = check_pixels(layer, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const bool bytes = x->dtype == GOSS_DTYPE_U8;
    const size_t channels = x->dims[3], table_bytes = bytes ? channels * BYTE_VALUES : 0;
    status = goss_layer_allocate_state(layer, sizeof(pixels_state) + channels * sizeof(float) + table_bytes, error);
    if (status) return status;
    pixels_state *state = layer->state;
    state->target = goss_target_of(layer->output, -INFINITY, INFINITY);
    state->mean = layer->weights[1]->values;
    state->multiplier = state->multipliers;
    state->table = bytes ? (uint8_t *)(state->multipliers + channels) : NULL;
    layer->run = quantize_pixels;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "quantize_pixels_%s", bytes ? "u8" : "f32");
    status = fill_tables(layer, state, channels, error);
    const uint32_t dims[4] = {x->dims[0], x->dims[3], x->dims[1], x->dims[2]};
    return status ? status : goss_value_set_shape(layer->output, 4, dims, layer->kernels->lanes, error);
}

const goss_op goss_op_quantize_pixels = {
    .name = "quantize_pixels", .code = 43, .inputs = 2, .attributes = 0, .quantized = true, .plan = plan_pixels};
