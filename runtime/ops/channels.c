/* Channels that change places or are left out, each copied whole: slice takes some neighbours, shuffle deals out the
 * halves, thirds, ... of all channels in turns. */
#include <stdio.h>
#include <string.h>

#include "move_i8.h"

typedef struct channels_state {
    size_t first;  /* slice: of the channels that are taken */
    size_t groups; /* shuffle */
} channels_state;

static void copy(float *y, const float *x, size_t floats) { memcpy(y, x, floats * sizeof *y); }

/* All channels of one image: they are neighbours. */
static void slice_image(const void *context, size_t image, size_t thread)
{
    const goss_layer *layer = context;
    const channels_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t floats = y->channels * y->stride, channel = x->channels / x->dims[1] * x->stride;
    (void)thread;
    copy(y->data + image * floats, x->data + image * x->channels * x->stride + state->first * channel, floats);
}

static void run_slice(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images, slice_image, layer);
}

static goss_source slice_source(const goss_layer *layer, size_t channel)
{
    const goss_value *x = layer->inputs[0];
    return (goss_source){0, (uint32_t)(goss_layer_u32(layer, 0) * (x->channels / x->dims[1]) + channel)};
}

static goss_status check_input(const goss_layer *layer, goss_error *error)
{
    return goss_layer_is_quantized(layer) ? goss_layer_need_same_scale(layer, error)
                                          : goss_layer_need_f32(layer, 1, error);
}

static goss_status plan_slice(goss_layer *layer, goss_error *error)
{
    goss_status status = check_input(layer, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const uint32_t first = goss_layer_u32(layer, 0), count = goss_layer_u32(layer, 1);
    if (x->rank < 2 || count == 0 || first >= x->dims[1] || count > x->dims[1] - first)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "%u channels from %u on; '%.60s' of rank %u has %u",
                               count, first, x->name, x->rank, x->rank < 2 ? 0 : x->dims[1]);
    uint32_t dims[GOSS_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[1] = count;
    status = goss_value_set_shape(layer->output, x->rank, dims, layer->kernels->lanes, error);
    if (!status && goss_layer_is_quantized(layer)) return goss_move_i8_plan(layer, slice_source, error);
    if (!status) status = goss_layer_allocate_state(layer, sizeof(channels_state), error);
    if (status) return status;
    *(channels_state *)layer->state = (channels_state){.first = first};
    layer->run = run_slice;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "copy");
    return GOSS_OK;
}

/* Channel i * groups + g of the output is channel g * (C / groups) + i of the input. */
static void shuffle_channel(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const channels_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t count = x->dims[1], image = index / count, channel = index % count;
    const size_t from = channel % state->groups * (count / state->groups) + channel / state->groups;
    const size_t floats = x->channels / count * x->stride;
    (void)thread;
    copy(y->data + (image * count + channel) * floats, x->data + (image * count + from) * floats, floats);
}

static void run_shuffle(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->dims[1], shuffle_channel, layer);
}

static goss_source shuffle_source(const goss_layer *layer, size_t element)
{
    const goss_value *x = layer->inputs[0];
    const size_t groups = goss_layer_u32(layer, 0), count = x->dims[1], each = x->channels / count;
    const size_t channel = element / each, from = channel % groups * (count / groups) + channel / groups;
    return (goss_source){0, (uint32_t)(from * each + element % each)};
}

static goss_status plan_shuffle(goss_layer *layer, goss_error *error)
{
    goss_status status = check_input(layer, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const uint32_t groups = goss_layer_u32(layer, 0);
    if (x->rank < 2 || groups == 0 || x->dims[1] % groups != 0)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "%u groups; '%.60s' of rank %u has %u", groups,
                               x->name, x->rank, x->rank < 2 ? 0 : x->dims[1]);
    status = goss_value_set_shape(layer->output, x->rank, x->dims, layer->kernels->lanes, error);
    if (!status && goss_layer_is_quantized(layer)) return goss_move_i8_plan(layer, shuffle_source, error);
    if (!status) status = goss_layer_allocate_state(layer, sizeof(channels_state), error);
    if (status) return status;
    *(channels_state *)layer->state = (channels_state){.groups = groups};
    layer->run = run_shuffle;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "copy");
    return GOSS_OK;
}

const goss_op goss_op_slice = {
    .name = "slice", .code = 15, .inputs = 1, .attributes = 2, .quantized = true, .plan = plan_slice};
const goss_op goss_op_shuffle = {
    .name = "shuffle", .code = 16, .inputs = 1, .attributes = 1, .quantized = true, .plan = plan_shuffle};
