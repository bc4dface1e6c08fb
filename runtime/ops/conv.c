/* Convolution: attributes, shapes, and which kind it is. */
#include "conv.h"

#include <stdio.h>
#include <string.h>

#include "quantized.h"

static goss_status corrupt(const goss_layer *layer, const char *what, uint32_t found, const char *expected,
                           goss_error *error)
{
    return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "%s is %u, %s expected", what, found, expected);
}

static goss_status read_attributes(const goss_layer *layer, goss_conv *conv, goss_error *error)
{
    enum { LARGEST = 1 << 15 };
    uint32_t *const fields[] = {&conv->stride_y,   &conv->stride_x,   &conv->pad_top,
                                &conv->pad_left,   &conv->pad_bottom, &conv->pad_right,
                                &conv->dilation_y, &conv->dilation_x, &conv->groups};
    static const char *const names[] = {"stride_y",  "stride_x",   "pad_top",    "pad_left", "pad_bottom",
                                        "pad_right", "dilation_y", "dilation_x", "groups"};
    for (uint32_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const bool pad = i >= 2 && i <= 5;
        *fields[i] = goss_layer_u32(layer, i);
        if (*fields[i] > LARGEST || (!pad && *fields[i] == 0))
            return corrupt(layer, names[i], *fields[i], pad ? "0 to 32768" : "1 to 32768", error);
    }
    const goss_status status = goss_layer_clamp(layer, 9, &conv->min, &conv->max, error);
    const uint32_t activation = goss_layer_u32(layer, 11); /* a kind and 1 */
    return status || activation == 0 ? status : goss_activation_find(layer, activation - 1, &conv->activation, error);
}

/* Output size along one axis; 0 when the dilated kernel does not fit into the padded input. */
static uint32_t output_size(uint64_t input, uint32_t pad_before, uint32_t pad_after, uint64_t kernel, uint32_t dilation,
                            uint32_t stride)
{
    const uint64_t padded = input + pad_before + pad_after, reach = (kernel - 1) * dilation + 1;
    return padded < reach ? 0 : (uint32_t)((padded - reach) / stride + 1);
}

static goss_status read_input_shape(const goss_layer *layer, goss_conv *conv, goss_error *error)
{
    const uint32_t *x = conv->x->dims;
    const bool interleaved = conv->normalization;
    if (conv->x->rank != 4)
        return corrupt(layer, "rank of the input", conv->x->rank, interleaved ? "4 (NHWC)" : "4 (NCHW)", error);
    conv->channels = x[interleaved ? 3 : 1];
    conv->in_y = x[interleaved ? 1 : 2];
    conv->in_x = x[interleaved ? 2 : 3];
    return GOSS_OK;
}

static goss_status infer_shape(goss_layer *layer, goss_conv *conv, goss_error *error)
{
    const uint32_t *w = layer->weight_dims[1];
    const goss_status status = read_input_shape(layer, conv, error);
    if (status) return status;

    if (conv->groups != 1 && conv->groups != conv->channels)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED,
                               "%u groups over %u channels; 1 or one a channel expected", conv->groups, conv->channels);
    if (conv->channels != w[1] * (uint64_t)conv->groups)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "weights for %u channels in %u groups, but '%.60s' has %u channels", w[1], conv->groups,
                               conv->x->name, conv->channels);
    if (w[0] % conv->groups != 0) return corrupt(layer, "output channels", w[0], "a multiple of the groups", error);

    conv->kernel_y = w[2];
    conv->kernel_x = w[3];
    conv->out_y = output_size(conv->in_y, conv->pad_top, conv->pad_bottom, w[2], conv->dilation_y, conv->stride_y);
    conv->out_x = output_size(conv->in_x, conv->pad_left, conv->pad_right, w[3], conv->dilation_x, conv->stride_x);
    if (conv->out_y == 0 || conv->out_x == 0)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "a %ux%u kernel does not fit into %ux%u pixels", w[2],
                               w[3], conv->in_y, conv->in_x);
    const uint32_t dims[4] = {conv->x->dims[0], w[0], conv->out_y, conv->out_x};
    return goss_value_set_shape(layer->output, 4, dims, layer->kernels->lanes, error);
}

static bool is_pointwise(const goss_conv *conv)
{
    return conv->groups == 1 && conv->kernel_y == 1 && conv->kernel_x == 1 && conv->stride_y == 1 &&
           conv->stride_x == 1 && !(conv->pad_top | conv->pad_left | conv->pad_bottom | conv->pad_right);
}

static goss_status check_residual(const goss_layer *layer, const goss_conv *conv, bool pointwise, goss_error *error)
{
    const goss_value *residual = conv->residual, *y = layer->output;
    if (!residual) return layer->weights[3] ? goss_layer_need_value(layer, 3, error) : GOSS_OK;
    const goss_status status =
        goss_layer_is_quantized(layer) ? goss_layer_need_u7(layer, 3, error) : goss_layer_need_value(layer, 3, error);
    if (status) return status;
    if (!pointwise)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED,
                               "a residual input; only a 1x1 convolution with stride 1 and without "
                               "padding and groups takes one");
    if (residual->rank != 4 || memcmp(residual->dims, y->dims, 4 * sizeof *y->dims) != 0)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "the residual '%.60s' has another shape than the output, [%u,%u,%u,%u]", residual->name,
                               y->dims[0], y->dims[1], y->dims[2], y->dims[3]);
    return GOSS_OK;
}

static void count_macs(goss_layer *layer, const goss_conv *conv)
{
    const uint64_t outputs = (uint64_t)conv->x->images * conv->out_y * conv->out_x;
    layer->macs = outputs * conv->weights->elements;
    layer->dense_macs = outputs * conv->weights->all;
}

static goss_status plan_kind(goss_layer *layer, const goss_conv *conv, bool pointwise, goss_error *error)
{
    if (pointwise) return goss_conv_pointwise_plan(layer, conv, error);
    if (conv->groups == 1) return goss_conv_packed_plan(layer, conv, error);
    if (conv->weights->i8) return goss_conv_depthwise_i8_plan(layer, conv, error);
    if (conv->weights->sparse || conv->weights->block_rows != 1)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "depthwise weights must be dense in blocks of 1");
    return goss_conv_depthwise_is_square(conv) ? goss_conv_depthwise_square_plan(layer, conv, error)
                                               : goss_conv_depthwise_plan(layer, conv, error);
}

static void name_activation(goss_layer *layer, const goss_conv *conv)
{
    const size_t length = strlen(layer->kernel_name);
    if (conv->activation.kernel)
        snprintf(layer->kernel_name + length, sizeof layer->kernel_name - length, " + %s", conv->activation.name);
}

static goss_status check_quantized(const goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    if (conv->activation.kernel)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "a quantized convolution has no activation");
    if (conv->weights->depthwise != (conv->groups > 1))
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "%u groups, but weights that are %sdepthwise",
                               conv->groups, conv->weights->depthwise ? "" : "not ");
    return GOSS_OK;
}

static goss_status check_dtypes(const goss_layer *layer, goss_error *error)
{
    goss_status status = GOSS_OK;
    if (goss_layer_is_quantized(layer)) {
        status = goss_layer_need_i8_weights(layer, 1, 4, error);
        return status ? status : goss_layer_need_u7_output(layer, error);
    }
    status = goss_layer_need_f32(layer, 1, error);
    return status ? status : goss_layer_need_weights(layer, 1, 4, error);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_conv conv = {
        .x = layer->inputs[0],
        .weights = layer->weights[1],
        .bias = layer->weights[2],
        .residual = layer->inputs[3],
    };
    goss_status status = check_dtypes(layer, error);
    if (!status) status = goss_layer_need_bias(layer, 2, conv.weights->rows, error);
    if (!status) status = read_attributes(layer, &conv, error);
    if (!status) status = infer_shape(layer, &conv, error);
    if (!status && conv.weights->i8) status = check_quantized(layer, &conv, error);
    if (status) return status;

    const bool pointwise = is_pointwise(&conv);
    status = check_residual(layer, &conv, pointwise, error);
    if (status) return status;
    count_macs(layer, &conv);

    status = plan_kind(layer, &conv, pointwise, error);
    if (!status) name_activation(layer, &conv);
    return status;
}

static goss_status check_normalization(const goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const goss_weights *normalization = conv->normalization;
    if (normalization->rows == 2 && normalization->columns == conv->channels && !normalization->sparse &&
        normalization->block_rows == 1)
        return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                           "normalization of %zu x %zu values; 2 x %u, dense, in blocks of 1 "
                           "expected",
                           normalization->rows, normalization->columns, conv->channels);
}

static goss_status plan_pixels(goss_layer *layer, goss_error *error)
{
    goss_conv conv = {
        .x = layer->inputs[0],
        .weights = layer->weights[1],
        .bias = layer->weights[2],
        .normalization = layer->weights[3],
    };
    goss_status status = goss_layer_need_input(layer, 0, error);
    if (!status) status = goss_layer_need_weights(layer, 1, 4, error);
    if (!status) status = goss_layer_need_bias(layer, 2, conv.weights->rows, error);
    if (!status) status = goss_layer_need_weights(layer, 3, 2, error);
    if (!status) status = read_attributes(layer, &conv, error);
    if (!status) status = infer_shape(layer, &conv, error);
    if (!status) status = check_normalization(layer, &conv, error);
    if (status) return status;
    if (conv.groups != 1) return corrupt(layer, "groups", conv.groups, "1", error);
    count_macs(layer, &conv);
    status = goss_conv_packed_plan(layer, &conv, error);
    if (!status) name_activation(layer, &conv);
    return status;
}

const goss_op goss_op_conv_pixels = {
    .name = "conv_pixels", .code = 10, .inputs = 4, .attributes = 11, .optional_attributes = 1, .plan = plan_pixels};

const goss_op goss_op_conv = {
    .name = "conv",
    .code = 1,
    .inputs = 3,
    .optional_inputs = 1,
    .attributes = 11,
    .optional_attributes = 1,
    .quantized = true,
    .plan = plan,
};
