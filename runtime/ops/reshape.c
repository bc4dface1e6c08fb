/* The same elements in another shape: planes lose their padding, or gain it. */
#include <stdio.h>
#include <string.h>

#include "move_i8.h"

/* Elements of a value that lie without gaps. */
static size_t run_length(const goss_value *value)
{
    return value->rank == 4 ? value->pixels : value->images * value->channels;
}

static void run(const goss_layer *layer)
{
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t x_run = run_length(x), y_run = run_length(y), elements = x->images * x->channels * x->pixels;
    const size_t x_step = x->rank == 4 ? x->stride : x_run, y_step = y->rank == 4 ? y->stride : y_run;
    for (size_t done = 0, count; done < elements; done += count) {
        const size_t x_left = x_run - done % x_run, y_left = y_run - done % y_run;
        count = x_left < y_left ? x_left : y_left;
        memmove(y->data + done / y_run * y_step + done % y_run, x->data + done / x_run * x_step + done % x_run,
                count * sizeof *y->data);
    }
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const bool quantized = goss_layer_is_quantized(layer);
    goss_status status = quantized ? goss_layer_need_same_scale(layer, error) : goss_layer_need_f32(layer, 1, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    const uint32_t rank = goss_layer_u32(layer, 0);
    uint32_t dims[GOSS_MAX_RANK] = {0};
    bool valid = rank >= 1 && rank <= GOSS_MAX_RANK;
    for (uint32_t i = 0; i < GOSS_MAX_RANK; i++) {
        dims[i] = goss_layer_u32(layer, 1 + i);
        valid = valid && (dims[i] > 0) == (i < rank);
    }
    if (!valid)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "rank %u; 1 to 6, and as many sizes of at least 1, expected", rank);
    status = goss_value_set_shape(layer->output, rank, dims, layer->kernels->lanes, error);
    if (status) return status;
    const goss_value *y = layer->output;
    const size_t found = x->images * x->channels * x->pixels, asked = y->images * y->channels * y->pixels;
    if (found != asked)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "'%.60s' has %zu elements, %zu expected for the new shape", x->name, found, asked);
    layer->run = quantized ? goss_reshape_i8_run : run;
    layer->in_place = y->rank != 4 && !quantized; /* what has no gaps is written before where it is read, or there */
    snprintf(layer->kernel_name, sizeof layer->kernel_name, quantized ? "copy_i8" : "copy");
    return GOSS_OK;
}

const goss_op goss_op_reshape = {
    .name = "reshape", .code = 17, .inputs = 1, .attributes = 7, .quantized = true, .plan = plan};
