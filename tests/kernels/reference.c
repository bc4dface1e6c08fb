#include "reference.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* A sum that knows how far f32 may be off: each term is rounded once as a product and at most once for every
 * addition, by half an ulp each time (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2). */
typedef struct sum {
    double value, magnitude;
    size_t terms;
} sum;

static void sum_add(sum *s, double term)
{
    s->value += term;
    s->magnitude += fabs(term);
    s->terms++;
}

static reference sum_result(sum s, double divisor, float min, float max)
{
    const double roundings = (double)s.terms + 2;
    return (reference){.value = fmin(fmax(s.value / divisor, (double)min), (double)max),
                       .bound = roundings * (FLT_EPSILON / 2.0) * s.magnitude / divisor};
}

static double at_offset(const float *base, uint32_t byte_offset, size_t index)
{
    return (double)base[byte_offset / sizeof *base + index];
}

reference reference_pointwise_f32(const goss_pointwise_f32_args *a, size_t block_rows, size_t row, size_t pixel)
{
    const size_t block_row = row / block_rows;
    size_t first = 0; /* stored block of this block row */
    for (size_t i = 0; i < block_row; i++) first += a->block_count ? a->block_count[i] : a->columns;
    const size_t blocks = a->block_count ? a->block_count[block_row] : a->columns;
    const uint32_t *plane_offset = a->block_count ? a->plane_offset + first : a->plane_offset;

    sum s = {0};
    sum_add(&s, (double)a->bias[row]);
    for (size_t b = 0; b < blocks; b++) {
        const double weight = (double)a->weights[(first + b) * block_rows + row % block_rows];
        sum_add(&s, weight * at_offset(a->x, plane_offset[b], pixel));
    }
    if (a->residual) sum_add(&s, (double)a->residual[row * a->y_stride + pixel]);
    return sum_result(s, 1, a->min, a->max);
}

reference reference_depthwise_f32(const goss_depthwise_f32_args *a, size_t row, size_t column)
{
    sum s = {0};
    sum_add(&s, (double)a->bias);
    for (size_t tap = 0; tap < a->taps; tap++)
        sum_add(&s, (double)a->weights[tap] * at_offset(a->x, a->tap_offset[tap], row * a->x_columns + column));
    return sum_result(s, 1, a->min, a->max);
}

reference reference_depthwise_square_f32(const goss_depthwise_square_f32_args *a, size_t row, size_t column)
{
    sum s = {0};
    sum_add(&s, (double)a->bias);
    for (size_t i = 0; i < a->kernel; i++)
        for (size_t j = 0; j < a->kernel; j++) {
            const size_t y = row * a->stride + i - a->pad_top, x = column * a->stride + j - a->pad_left;
            if (y < a->in_y && x < a->in_x)
                sum_add(&s, (double)a->weights[i * a->kernel + j] * (double)a->x[y * a->in_x + x]);
        }
    return sum_result(s, 1, a->min, a->max);
}

reference reference_global_average_pool_f32(const goss_global_average_pool_f32_args *a, size_t channel)
{
    sum s = {0};
    for (size_t pixel = 0; pixel < a->pixels; pixel++) sum_add(&s, (double)a->x[channel * a->x_stride + pixel]);
    return sum_result(s, (double)a->pixels, -INFINITY, INFINITY);
}

float reference_max_pool_f32(const goss_pool_f32_args *a, size_t row, size_t column)
{
    float largest = -FLT_MAX;
    for (size_t i = 0; i < a->kernel_y; i++)
        for (size_t j = 0; j < a->kernel_x; j++) {
            const size_t y = row * a->stride_y + i * a->dilation_y - a->pad_top;
            const size_t x = column * a->stride_x + j * a->dilation_x - a->pad_left;
            if (y < a->in_y && x < a->in_x) largest = fmaxf(largest, a->x[y * a->in_x + x]);
        }
    return largest;
}

/* Both shares are rounded once as they are multiplied, and once more with the sum. */
reference reference_average_pool_f32(const goss_pool_f32_args *a, size_t row, size_t column)
{
    sum s = {.terms = 2};
    for (size_t i = 0; i < a->kernel_y; i++)
        for (size_t j = 0; j < a->kernel_x; j++) {
            const size_t y = row * a->stride_y + i * a->dilation_y - a->pad_top;
            const size_t x = column * a->stride_x + j * a->dilation_x - a->pad_left;
            if (y < a->in_y && x < a->in_x) sum_add(&s, (double)a->x[y * a->in_x + x]);
        }
    const double share = (double)a->share_y[row] * (double)a->share_x[column];
    const reference total = sum_result(s, 1, -INFINITY, INFINITY);
    return (reference){.value = total.value * share, .bound = total.bound * fabs(share) + FLT_TRUE_MIN};
}

reference reference_add_f32(float a, float b, float min, float max)
{
    sum s = {0};
    sum_add(&s, (double)a);
    sum_add(&s, (double)b);
    return sum_result(s, 1, min, max);
}

reference reference_multiply_f32(float a, float b)
{
    const double product = (double)a * (double)b;
    return (reference){.value = product, .bound = FLT_EPSILON / 2.0 * fabs(product) + FLT_TRUE_MIN};
}

/* e^-x is off by 3 ulp; beyond 87 it stays what it is there. Sum and quotient are rounded. */
reference reference_sigmoid_f32(float x)
{
    const double value = 1 / (1 + exp(-(double)x));
    return (reference){.value = value, .bound = 4 * FLT_EPSILON * value + 2.0 * FLT_MIN};
}

reference reference_silu_f32(float x)
{
    const reference sigmoid = reference_sigmoid_f32(x);
    const double size = fabs((double)x);
    return (reference){.value = (double)x * sigmoid.value,
                       .bound = size * (sigmoid.bound + FLT_EPSILON * sigmoid.value)};
}

/* The curves below are computed to some roundings of numbers up to 1, or up to x where they grow with it; what an
 * exponential beyond 87 is off by counts times x, as for SiLU. */
static reference curve(double value, double roundings, float x)
{
    const double size = fabs((double)x);
    return (reference){.value = value,
                       .bound = roundings * FLT_EPSILON * (1 + fmin(size, fabs(value))) + 4 * size * (double)FLT_MIN};
}

reference reference_hard_swish_f32(float x)
{
    const double gate = fmin(fmax((double)x / 6 + 0.5, 0), 1);
    return (reference){.value = (double)x * gate,
                       .bound = gate > 0 && gate < 1 ? 2 * FLT_EPSILON * fabs((double)x) : 0};
}

reference reference_tanh_f32(float x) { return curve(tanh((double)x), 4, x); }
reference reference_elu_f32(float x) { return curve(x > 0 ? (double)x : expm1((double)x), 4, x); }
reference reference_erf_f32(float x) { return curve(erf((double)x), 6, x); }
reference reference_gelu_f32(float x) { return curve((double)x * erfc(-(double)x / sqrt(2)) / 2, 6, x); }

static double log_1_exp(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

reference reference_softplus_f32(float x) { return curve(log_1_exp((double)x), 4, x); }
reference reference_mish_f32(float x) { return curve((double)x * tanh(log_1_exp((double)x)), 6, x); }

reference reference_gelu_tanh_f32(float x)
{
    const double wide = (double)x, inner = 0.7978845608028654 * (wide + 0.044715 * wide * wide * wide);
    return curve(wide / (1 + exp(-2 * inner)), 6, x);
}

reference reference_leaky_relu_f32(float x, float slope)
{
    return x > 0 ? (reference){.value = (double)x} : reference_multiply_f32(x, slope);
}

softmax_row reference_softmax_row(const float *x, size_t count)
{
    softmax_row row = {.largest = -INFINITY, .sum = 0, .count = count};
    for (size_t i = 0; i < count; i++) row.largest = fmax(row.largest, (double)x[i]);
    for (size_t i = 0; i < count; i++) row.sum += exp((double)x[i] - row.largest);
    return row;
}

/* The distance from the largest x is rounded before e^x, which turns half an ulp of it into that much relative
 * error; e^x itself is off by 3 ulp, sum and division by half an ulp a term. Results near the smallest normal
 * f32 need not be right. */
reference reference_softmax_f32(softmax_row row, float x)
{
    const double distance = row.largest - (double)x, value = exp(-distance) / row.sum;
    const double half_ulps = fmin(distance, 100) + (double)row.count + 8;
    return (reference){.value = value, .bound = half_ulps * (FLT_EPSILON / 2.0) * value + 2.0 * FLT_MIN};
}
