/* Tensors one behind the other along axis 1, the channels. */
#include <stdio.h>
#include <string.h>

#include "move_i8.h"

/* One input of one image. */
static void copy_part(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const size_t *offset = layer->state, images = layer->output->images, part = index / images, image = index % images;
    const goss_value *x = layer->inputs[part], *y = layer->output;
    const size_t floats = x->channels * x->stride;
    (void)thread;
    memcpy(y->data + image * y->channels * y->stride + offset[part], x->data + image * floats, floats * sizeof(float));
}

static size_t part_count(const goss_layer *layer)
{
    size_t parts = 0;
    while (parts < GOSS_NODE_MAX_INPUTS && layer->inputs[parts]) parts++;
    return parts;
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, part_count(layer) * layer->output->images, copy_part, layer);
}

/* Every input must be an activation that has the first one's shape, but for axis 1. */
static goss_status add_up(const goss_layer *layer, uint32_t *dims, goss_error *error)
{
    uint64_t channels = 0;
    for (uint32_t i = 0; i < GOSS_NODE_MAX_INPUTS; i++) {
        if (i >= layer->op->inputs && !layer->inputs[i] && !layer->weights[i]) break;
        const goss_status status = goss_layer_is_quantized(layer) ? goss_layer_need_u7(layer, i, error)
                                                                  : goss_layer_need_value(layer, i, error);
        if (status) return status;
        const goss_value *x = layer->inputs[i];
        if (i == 0) memcpy(dims, x->dims, sizeof x->dims);
        channels += x->dims[1];
        dims[1] = x->dims[1];
        if (x->rank < 2 || x->rank != layer->inputs[0]->rank || memcmp(dims, x->dims, sizeof x->dims) != 0)
            return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                                   "'%.60s' and '%.60s' differ in more than axis 1, or have none",
                                   layer->inputs[0]->name, x->name);
    }
    dims[1] = (uint32_t)channels;
    if (channels <= UINT32_MAX) return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "more than 2^32 channels");
}

static goss_source source_of(const goss_layer *layer, size_t channel)
{
    uint32_t input = 0;
    for (; channel >= layer->inputs[input]->channels; input++) channel -= layer->inputs[input]->channels;
    return (goss_source){input, (uint32_t)channel};
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const bool quantized = goss_layer_is_quantized(layer);
    uint32_t dims[GOSS_MAX_RANK];
    goss_status status = quantized ? goss_layer_need_u7_output(layer, error) : goss_layer_need_f32(layer, 1, error);
    if (!status) status = add_up(layer, dims, error);
    if (!status)
        status = goss_value_set_shape(layer->output, layer->inputs[0]->rank, dims, layer->kernels->lanes, error);
    if (!status && quantized) return goss_move_i8_plan(layer, source_of, error);
    if (!status) status = goss_layer_allocate_state(layer, GOSS_NODE_MAX_INPUTS * sizeof(size_t), error);
    if (status) return status;
    size_t *offset = layer->state, floats = 0;
    for (size_t i = 0; i < part_count(layer); i++) {
        offset[i] = floats;
        floats += layer->inputs[i]->channels * layer->inputs[i]->stride;
    }
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "copy");
    return GOSS_OK;
}

const goss_op goss_op_concat = {
    .name = "concat", .code = 13, .inputs = 2, .optional_inputs = 2, .attributes = 0, .quantized = true, .plan = plan};
