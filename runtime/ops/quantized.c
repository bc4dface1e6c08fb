#include "quantized.h"

#include <float.h>

goss_status goss_layer_need_u7(const goss_layer *layer, uint32_t position, goss_error *error)
{
    const goss_status status = goss_layer_need_input(layer, position, error);
    if (status || layer->inputs[position]->dtype == GOSS_DTYPE_U7) return status;
    return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "input '%.60s' is not u7, but others of it are",
                           layer->inputs[position]->name);
}

goss_status goss_layer_need_i8_weights(const goss_layer *layer, uint32_t position, uint32_t rank, goss_error *error)
{
    const goss_weights *weights = layer->weights[position];
    if (weights && weights->i8 && layer->weight_ranks[position] == rank) return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "the input is u7, so input %u must be i8 weights of rank %u",
                           position, rank);
}

goss_status goss_layer_need_u7_output(const goss_layer *layer, goss_error *error)
{
    if (layer->output->dtype == GOSS_DTYPE_U7) return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "the input is u7, so the output '%.60s' must be",
                           layer->output->name);
}

goss_status goss_layer_need_f32_output(const goss_layer *layer, goss_error *error)
{
    if (layer->output->dtype == GOSS_DTYPE_F32) return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "the output '%.60s' is u7, f32 expected",
                           layer->output->name);
}

goss_status goss_layer_need_f32(const goss_layer *layer, uint32_t count, goss_error *error)
{
    goss_status status = GOSS_OK;
    for (uint32_t i = 0; i < count && !status; i++) status = goss_layer_need_value(layer, i, error);
    return status ? status : goss_layer_need_f32_output(layer, error);
}

goss_status goss_layer_need_u7_pair(const goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_need_u7(layer, 0, error);
    if (!status) status = goss_layer_need_u7(layer, 1, error);
    return status ? status : goss_layer_need_u7_output(layer, error);
}

goss_status goss_layer_need_same_scale(const goss_layer *layer, goss_error *error)
{
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const goss_status status = goss_layer_need_u7_output(layer, error);
    if (status || (x->scale == y->scale && x->zero_point == y->zero_point)) return status;
    return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                           "scale and zero point are %.9g and %d, those of '%.60s' are %.9g and %d", (double)y->scale,
                           y->zero_point, x->name, (double)x->scale, x->zero_point);
}

static float clip(double x, float least, float most)
{
    const float rounded = (float)x;
    return rounded < least ? least : rounded > most ? most : rounded;
}

goss_target_i8 goss_target_of(const goss_value *output, float min, float max)
{
    if (output->dtype != GOSS_DTYPE_U7) return (goss_target_i8){min, max, 0};
    const float least = (float)-output->zero_point, most = (float)(GOSS_U7_MAX - output->zero_point);
    const double scale = (double)output->scale;
    return (goss_target_i8){clip((double)min / scale, least, most), clip((double)max / scale, least, most),
                            output->zero_point};
}

goss_status goss_layer_factor(const goss_layer *layer, double scale, double divisor, float *factor, goss_error *error)
{
    *factor = (float)(scale / divisor);
    if (*factor >= -FLT_MAX && *factor <= FLT_MAX) return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "%g over a scale of %g is too large a number", scale,
                           divisor);
}

/* Sums of each row's weights, times the zero point: what the products with x are too large by. */
static void fill_start(const goss_weights *weights, int32_t zero_point, int32_t *start)
{
    const size_t rows = weights->padded_rows;
    for (size_t row = 0; row < rows; row++) start[row] = 0;
    if (weights->depthwise) {
        for (size_t i = 0; i < weights->columns * rows; i++) start[i % rows] -= weights->quads[i];
    } else {
        const size_t lines = rows / weights->block_rows, block_bytes = (size_t)weights->block_rows * GOSS_QUAD;
        const int8_t *block = weights->quads;
        for (size_t line = 0; line < lines; line++) {
            const size_t count = weights->sparse ? weights->counts[line] : weights->columns;
            for (size_t i = 0; i < count * block_bytes; i++)
                start[line * weights->block_rows + i % block_bytes / GOSS_QUAD] -= *block++;
        }
    }
    for (size_t row = 0; row < rows; row++) start[row] *= zero_point;
}

goss_status goss_rows_fill(const goss_layer *layer, const goss_weights *weights, const goss_weights *bias,
                           double y_scale, void *words, goss_rows_i8 *rows, goss_error *error)
{
    const goss_value *x = layer->inputs[0];
    const size_t count = weights->padded_rows;
    rows->start = words;
    rows->multiplier = (float *)(void *)(rows->start + count);
    rows->bias = rows->multiplier + count;
    fill_start(weights, x->zero_point, rows->start);
    goss_status status = GOSS_OK;
    for (size_t row = 0; row < count && !status; row++) {
        const bool real = row < weights->rows;
        const double scale = real ? (double)x->scale * (double)weights->row_scale[row] : 0;
        status = goss_layer_factor(layer, scale, y_scale, &rows->multiplier[row], error);
        if (!status)
            status = goss_layer_factor(layer, real ? (double)bias->values[row] : 0, y_scale, &rows->bias[row], error);
    }
    return status;
}
