#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "checked.h"
#include "error.h"
#include "memory.h"
#include "op.h"

static const goss_op *const ops[] = {
    &goss_op_conv,
    &goss_op_fully_connected,
    &goss_op_global_average_pool,
    &goss_op_add,
    &goss_op_clamp,
    &goss_op_softmax,
    &goss_op_flatten,
    &goss_op_activation,
    &goss_op_multiply,
    &goss_op_conv_pixels,
    &goss_op_max_pool,
    &goss_op_average_pool,
    &goss_op_concat,
    &goss_op_leaky_relu,
    &goss_op_slice,
    &goss_op_shuffle,
    &goss_op_reshape,
    &goss_op_transpose,
    &goss_op_take,
    &goss_op_binary,
    &goss_op_select,
    &goss_op_reduce,
    &goss_op_matmul,
    &goss_op_layer_norm,
    &goss_op_resize,
    &goss_op_top_k,
    &goss_op_non_max_suppression,
    &goss_op_lookup,
    &goss_op_quantize,
    &goss_op_dequantize,
    &goss_op_quantize_pixels,
};

goss_status goss_layer_fail(const goss_layer *layer, goss_error *error, goss_status status, const char *format, ...)
{
    char sentence[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return goss_fail(error, status, "node '%.60s' (%s): %s", layer->name, layer->op->name, sentence);
}

const goss_op *goss_op_find(uint32_t code)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ops[i]->code == code) return ops[i];
    return NULL;
}

goss_status goss_value_set_shape(goss_value *value, uint32_t rank, const uint32_t *dims, size_t lanes,
                                 goss_error *error)
{
    size_t elements = 1, floats = 0, bytes = 0;
    bool fits = true;
    const bool quantized = value->dtype == GOSS_DTYPE_U7;

    value->rank = rank;
    memset(value->dims, 0, sizeof value->dims);
    for (uint32_t i = 0; i < rank; i++) {
        value->dims[i] = dims[i];
        fits = fits && checked_multiply(elements, dims[i], &elements) && elements < (size_t)1 << 31;
    }
    value->images = dims[0];
    if (rank == 4) {
        value->channels = dims[1];
        value->planes = quantized ? (value->channels + GOSS_QUAD - 1) / GOSS_QUAD : value->channels;
        value->pixels = (size_t)dims[2] * dims[3];
        fits = fits && checked_align_up(value->pixels, lanes, &value->stride) &&
               checked_multiply(dims[0] * value->planes, value->stride, &floats);
    } else {
        size_t row = 0; /* the last one, which kernels may write in whole vectors */
        value->pixels = value->stride = 1;
        value->channels = fits ? elements / dims[0] : 0;
        value->planes = quantized ? (value->channels + GOSS_QUAD - 1) / GOSS_QUAD : value->channels;
        fits = fits && checked_align_up(value->planes, lanes, &row) &&
               checked_align_up((dims[0] - 1) * value->planes + row, lanes, &floats);
    }
    value->floats = value->dtype == GOSS_DTYPE_U8 ? floats / sizeof(float) : floats;
    if (!fits || !checked_multiply(floats, sizeof(float), &bytes) || bytes > UINT32_MAX)
        return goss_fail(error, GOSS_UNSUPPORTED, "tensor '%.60s': larger than 4 GiB or 2^31 elements", value->name);
    return GOSS_OK;
}

goss_status goss_layer_allocate_state(goss_layer *layer, size_t bytes, goss_error *error)
{
    layer->state = goss_alloc(bytes);
    layer->state_bytes = bytes;
    return layer->state ? GOSS_OK : goss_fail_out_of_memory(error, bytes, layer->name);
}

goss_status goss_layer_need_scratch(goss_layer *layer, size_t floats, goss_error *error)
{
    if (checked_multiply(floats, layer->threads * sizeof(float), &layer->scratch_bytes) &&
        layer->scratch_bytes <= UINT32_MAX)
        return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "needs more than 4 GiB of scratch");
}

uint32_t goss_layer_u32(const goss_layer *layer, uint32_t position)
{
    uint32_t word = 0;
    if (position < layer->attribute_count) memcpy(&word, layer->attributes + 4 * position, sizeof word);
    return word;
}

goss_status goss_layer_clamp(const goss_layer *layer, uint32_t position, float *min, float *max, goss_error *error)
{
    memcpy(min, layer->attributes + 4 * position, sizeof *min);
    memcpy(max, layer->attributes + 4 * position + 4, sizeof *max);
    if (!(*min <= *max))
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "the clamp's min is not below its max");
    return GOSS_OK;
}

goss_status goss_layer_need_input(const goss_layer *layer, uint32_t position, goss_error *error)
{
    if (layer->inputs[position]) return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "input %u is constant, a computed tensor expected",
                           position);
}

goss_status goss_layer_need_value(const goss_layer *layer, uint32_t position, goss_error *error)
{
    const goss_status status = goss_layer_need_input(layer, position, error);
    if (status || layer->inputs[position]->dtype == GOSS_DTYPE_F32) return status;
    return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "input '%.60s' is %s, f32 expected",
                           layer->inputs[position]->name,
                           layer->inputs[position]->dtype == GOSS_DTYPE_U8 ? "u8" : "u7");
}

goss_status goss_layer_need_weights(const goss_layer *layer, uint32_t position, uint32_t rank, goss_error *error)
{
    if (!layer->weights[position])
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "input %u is computed, constant weights expected",
                               position);
    if (layer->weight_ranks[position] != rank)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "input %u has rank %u, %u expected", position,
                               layer->weight_ranks[position], rank);
    if (layer->weights[position]->i8)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "input %u is i8, f32 expected", position);
    return GOSS_OK;
}

goss_status goss_layer_need_bias(const goss_layer *layer, uint32_t position, size_t rows, goss_error *error)
{
    const goss_status status = goss_layer_need_weights(layer, position, 1, error);
    if (status) return status;
    const goss_weights *bias = layer->weights[position];
    if (bias->rows != rows || bias->sparse || bias->block_rows != 1)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "bias of %zu values in blocks of %u; %zu, dense, in blocks of 1 expected", bias->rows,
                               bias->block_rows, rows);
    return GOSS_OK;
}
