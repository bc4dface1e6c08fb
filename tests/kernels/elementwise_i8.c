#include <string.h>

#include "bytes.h"

static uint8_t *copy(test *t, const uint8_t *bytes, size_t count)
{
    uint8_t *y = output_new(t, count);
    memcpy(y, bytes, count);
    return y;
}

static void test_add(test *t, size_t count, bool over)
{
    case_begin(t, "add_i8", "count %zu%s", count, over ? ", over a" : "");
    const uint8_t *a = input_u7(t, count * QUAD), *b = input_u7(t, count * QUAD);
    uint8_t *y = copy(t, a, count * QUAD);
    const goss_add_i8_args args = {
        .a = over ? y : a,
        .b = b,
        .y = y,
        .count = count,
        .a_zero_point = (int32_t)random_below(t, 128),
        .b_zero_point = (int32_t)random_below(t, 128),
        .a_multiplier = random_f32(t) + 1,
        .b_multiplier = random_f32(t) + 1,
        .target = random_target(t),
    };
    RUN_KERNEL(t, add_i8, &args);
    for (size_t i = 0; i < count * QUAD; i++) expect_byte(t, i, y[i], reference_add_i8(&args, a[i], b[i]));
    case_end(t);
}

static void test_multiply(test *t, size_t count, bool scale)
{
    case_begin(t, scale ? "scale_i8" : "multiply_i8", "count %zu", count);
    const uint8_t *a = input_u7(t, count * QUAD), *b = input_u7(t, scale ? QUAD : count * QUAD);
    uint8_t *y = output_new(t, count * QUAD);
    const goss_multiply_i8_args args = {
        .a = a,
        .b = b,
        .y = y,
        .count = count,
        .a_zero_point = (int32_t)random_below(t, 128),
        .b_zero_point = (int32_t)random_below(t, 128),
        .multiplier = (random_f32(t) + 1) / 50,
        .target = random_target(t),
    };
    if (scale)
        RUN_KERNEL(t, scale_i8, &args);
    else
        RUN_KERNEL(t, multiply_i8, &args);
    for (size_t i = 0; i < count * QUAD; i++)
        expect_byte(t, i, y[i], reference_multiply_i8(&args, a[i], b[scale ? i % QUAD : i]));
    case_end(t);
}

static void test_lookup(test *t, size_t count)
{
    case_begin(t, "lookup_i8", "count %zu", count);
    const uint8_t *x = input_u7(t, count * QUAD), *table = input_u7(t, 128);
    uint8_t *y = output_new(t, count * QUAD);
    RUN_KERNEL(t, lookup_i8, &(goss_lookup_i8_args){.x = x, .y = y, .count = count, .table = table});
    for (size_t i = 0; i < count * QUAD; i++) expect_byte(t, i, y[i], table[x[i]]);
    case_end(t);
}

void test_elementwise_i8(test *t)
{
    for (size_t vectors = 1; vectors <= 40; vectors++) {
        const size_t count = vectors * t->kernels->lanes;
        test_add(t, count, vectors % 2);
        test_multiply(t, count, false);
        test_multiply(t, count, true);
        test_lookup(t, count);
    }
}

/* Far beyond what a byte holds, and exactly between two numbers. */
static float number(test *t)
{
    switch (random_below(t, 4)) {
    case 0:
        return ldexpf(random_f32(t), (int)random_below(t, 200) - 100);
    case 1:
        return (float)random_below(t, 300) / 2 - 75;
    default:
        return 100 * random_f32(t);
    }
}

static void test_quantize(test *t, size_t count)
{
    case_begin(t, "quantize_i8", "count %zu", count);
    uint8_t *y = output_new(t, count * QUAD);
    goss_quantize_i8_args args = {
        .y = y, .count = count, .multiplier = random_below(t, 2) ? 1 : random_f32(t) + 1, .target = random_target(t)};
    for (size_t c = 0; c < QUAD; c++) {
        float *x = input_new(t, count * sizeof *x);
        for (size_t i = 0; i < count; i++) x[i] = number(t);
        args.x[c] = x;
    }
    RUN_KERNEL(t, quantize_i8, &args);
    for (size_t i = 0; i < count * QUAD; i++)
        expect_byte(t, i, y[i], reference_round_i8(args.x[i % QUAD][i / QUAD] * args.multiplier, args.target));
    case_end(t);
}

static void test_dequantize(test *t, size_t count, size_t channels)
{
    const size_t stride = count + random_below(t, 3) * t->kernels->lanes;
    case_begin(t, "dequantize_i8", "count %zu, %zu channels, %zu apart", count, channels, stride);
    float *y = output_new(t, channels * stride * sizeof *y);
    const goss_dequantize_i8_args args = {
        .x = input_u7(t, count * QUAD),
        .y = y,
        .channels = channels,
        .y_stride = stride,
        .count = count,
        .zero_point = (int32_t)random_below(t, 128),
        .scale = random_f32(t),
    };
    RUN_KERNEL(t, dequantize_i8, &args);
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < count; i++)
            expect_same(t, i, y[c * stride + i], (float)(args.x[i * QUAD + c] - args.zero_point) * args.scale);
        expect_untouched(t, c * stride + count, y + c * stride + count, stride - count);
    }
    case_end(t);
}

void test_quantize_i8(test *t)
{
    for (size_t vectors = 1; vectors <= 40; vectors++) {
        test_quantize(t, vectors * t->kernels->lanes);
        test_dequantize(t, vectors * t->kernels->lanes, 1 + vectors % QUAD);
    }
}
