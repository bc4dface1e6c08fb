#include "reference_i8.h"

#include <math.h>

enum { QUAD = 4 };

float reference_clamp_i8(float v, goss_target_i8 target) { return fminf(fmaxf(v, target.low), target.high); }

uint8_t reference_round_i8(float v, goss_target_i8 target)
{
    return (uint8_t)(target.zero_point + (int32_t)nearbyint((double)reference_clamp_i8(v, target)));
}

static float multiply_then_add(int64_t sum, float multiplier, float addend)
{
    const float product = (float)sum * multiplier;
    return product + addend;
}

float reference_matrix_i8(const goss_matrix_i8_args *a, size_t block_rows, size_t row, size_t pixel)
{
    const size_t block_row = row / block_rows;
    size_t first = 0; /* stored block of this block row */
    for (size_t i = 0; i < block_row; i++) first += a->block_count ? a->block_count[i] : a->columns;
    const size_t blocks = a->block_count ? a->block_count[block_row] : a->columns;
    const uint32_t *plane_offset = a->block_count ? a->plane_offset + first : a->plane_offset;

    int64_t sum = a->start[row];
    for (size_t b = 0; b < blocks; b++)
        for (size_t c = 0; c < QUAD; c++)
            sum += a->weights[((first + b) * block_rows + row % block_rows) * QUAD + c] *
                   a->x[plane_offset[b] + pixel * QUAD + c];
    const float v = multiply_then_add(sum, a->multiplier[row], a->bias[row]);
    if (!a->residual) return v;
    const int32_t residual = a->residual[(row / QUAD * a->y_stride + pixel) * QUAD + row % QUAD];
    return multiply_then_add(residual - a->residual_zero_point, a->residual_multiplier, v);
}

uint8_t reference_depthwise_i8(const goss_depthwise_i8_args *a, size_t row, size_t column, size_t channel)
{
    int64_t sum = a->start[channel];
    for (size_t tap = 0; tap < a->groups * QUAD; tap++)
        sum += a->weights[(tap / QUAD * QUAD + channel) * QUAD + tap % QUAD] *
               a->x[a->tap_offset[tap] + (row * a->x_columns + column) * QUAD + channel];
    return reference_round_i8(multiply_then_add(sum, a->multiplier[channel], a->bias[channel]), a->target);
}

uint8_t reference_max_pool_i8(const goss_max_pool_i8_args *a, size_t row, size_t column, size_t channel)
{
    uint8_t largest = 0;
    for (size_t tap = 0; tap < a->taps; tap++) {
        const uint8_t x = a->x[a->tap_offset[tap] + (row * a->x_columns + column) * QUAD + channel];
        if (x > largest) largest = x;
    }
    return largest;
}

uint8_t reference_global_average_pool_i8(const goss_global_average_pool_i8_args *a, size_t channel)
{
    int64_t sum = 0;
    for (size_t i = 0; i < a->pixels; i++) sum += a->x[i * QUAD + channel] - a->zero_point;
    return reference_round_i8((float)sum * a->multiplier, a->target);
}

uint8_t reference_add_i8(const goss_add_i8_args *args, uint8_t a, uint8_t b)
{
    const float first = (float)(a - args->a_zero_point) * args->a_multiplier;
    return reference_round_i8(multiply_then_add(b - args->b_zero_point, args->b_multiplier, first), args->target);
}

uint8_t reference_multiply_i8(const goss_multiply_i8_args *args, uint8_t a, uint8_t b)
{
    const int32_t product = (a - args->a_zero_point) * (b - args->b_zero_point);
    return reference_round_i8((float)product * args->multiplier, args->target);
}
