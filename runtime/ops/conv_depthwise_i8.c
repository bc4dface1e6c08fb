/* Quantized depthwise convolution: quad of channels by quad of channels through one packed plane. */
#include <stdio.h>

#include "checked.h"
#include "conv.h"
#include "pack.h"
#include "pool.h"
#include "quantized.h"

typedef struct depthwise_state {
    goss_pack pack;
    size_t groups; /* of 4 taps; behind the last tap are some with weights of 0 */
    goss_rows_i8 rows;
    goss_target_i8 target;
    uint32_t *tap_offset; /* [4 * groups] */
    int8_t *weights;      /* [quads][groups][4 channels][4 taps] */
    uint32_t words[];
} depthwise_state;

static void run_quad(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const depthwise_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    float *packed = (float *)(void *)layer->scratch + thread * state->pack.plane_floats;
    const size_t quad = index % x->planes, row = quad * GOSS_QUAD;

    goss_pack_plane(layer, &state->pack, x->data + index * x->stride, packed);
    layer->kernels->depthwise_i8(&(goss_depthwise_i8_args){
        .x = (const uint8_t *)packed,
        .weights = state->weights + quad * state->groups * GOSS_QUAD * GOSS_QUAD,
        .tap_offset = state->tap_offset,
        .start = state->rows.start + row,
        .multiplier = state->rows.multiplier + row,
        .bias = state->rows.bias + row,
        .y = goss_bytes(y) + index * y->stride * GOSS_QUAD,
        .rows = state->pack.out_y,
        .x_columns = state->pack.args.columns,
        .y_columns = state->pack.out_x,
        .groups = state->groups,
        .target = state->target,
    });
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->inputs[0]->images * layer->inputs[0]->planes, run_quad, layer);
}

/* From [taps][channels] to what the kernel reads. */
static void arrange_weights(const goss_weights *weights, const depthwise_state *state)
{
    int8_t *next = state->weights;
    for (size_t quad = 0; quad < weights->padded_rows; quad += GOSS_QUAD)
        for (size_t group = 0; group < state->groups; group++)
            for (size_t i = 0; i < (size_t)GOSS_QUAD * GOSS_QUAD; i++) {
                const size_t tap = group * GOSS_QUAD + i % GOSS_QUAD, channel = quad + i / GOSS_QUAD;
                *next++ = tap < weights->columns ? weights->quads[tap * weights->padded_rows + channel] : 0;
            }
}

static void place_taps(const goss_conv *conv, const depthwise_state *state)
{
    for (size_t i = 0; i < state->groups * GOSS_QUAD; i++) {
        const size_t tap = i < conv->weights->columns ? i : 0;
        const uint32_t ky = (uint32_t)(tap / conv->kernel_x), kx = (uint32_t)(tap % conv->kernel_x);
        state->tap_offset[i] = (uint32_t)(goss_pack_tap(&state->pack, conv, ky, kx) * sizeof(float));
    }
}

goss_status goss_conv_depthwise_i8_plan(goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const goss_weights *weights = conv->weights;
    if (weights->rows != conv->channels)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED,
                               "%zu output channels of %u; a quantized depthwise convolution has as many",
                               weights->rows, conv->channels);
    const size_t groups = (weights->columns + GOSS_QUAD - 1) / GOSS_QUAD, rows_words = goss_rows_words(weights);
    const size_t words = rows_words + groups * GOSS_QUAD + weights->padded_rows * groups;
    goss_status status = goss_layer_allocate_state(layer, sizeof(depthwise_state) + words * sizeof(uint32_t), error);
    if (status) return status;

    depthwise_state *state = layer->state;
    state->groups = groups;
    state->tap_offset = state->words + rows_words;
    state->weights = (int8_t *)(void *)(state->tap_offset + groups * GOSS_QUAD);
    state->target = goss_target_of(layer->output, conv->min, conv->max);
    status =
        goss_rows_fill(layer, weights, conv->bias, (double)layer->output->scale, state->words, &state->rows, error);
    if (!status) status = goss_pack_plan(layer, conv, &state->pack, error);
    if (status) return status;
    place_taps(conv, state);
    arrange_weights(weights, state);
    if (!checked_multiply(state->pack.plane_floats, layer->threads * sizeof(float), &layer->scratch_bytes))
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "a padded plane is larger than 4 GiB");

    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "packed + depthwise_i8");
    snprintf(layer->reason, sizeof layer->reason, "depthwise: one %ux%u filter a channel", conv->kernel_y,
             conv->kernel_x);
    return GOSS_OK;
}
