#include <float.h>
#include <string.h>

#include "families.h"

/* Where the result goes: memory of its own, or over an operand. */
typedef enum placement { APART, OVER_A, OVER_B, PLACEMENTS } placement;
static const char *const placement_names[PLACEMENTS] = {"y apart", "y over a", "y over b"};

/* Values that reach beyond every clamp, in memory that the kernel may write if the result goes there. */
static float *operand(test *t, size_t count, bool written)
{
    float *values = (written ? output_new : input_new)(t, count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = 10 * random_f32(t);
    return values;
}

static float *copy(test *t, const float *values, size_t count)
{
    float *copied = output_new(t, count * sizeof *copied);
    memcpy(copied, values, count * sizeof *copied);
    return copied;
}

static void test_add(test *t, size_t count, placement where, range clamp)
{
    case_begin(t, "add_f32", "count %zu, %s, clamp %g to %g", count, placement_names[where], (double)clamp.min,
               (double)clamp.max);
    float *a = operand(t, count, where == OVER_A), *b = operand(t, count, where == OVER_B);
    const float *a_before = copy(t, a, count), *b_before = copy(t, b, count);
    float *y = where == OVER_A ? a : where == OVER_B ? b : output_new(t, count * sizeof *y);

    RUN_KERNEL(t, add_f32,
               &(goss_add_f32_args){.a = a, .b = b, .y = y, .count = count, .min = clamp.min, .max = clamp.max});
    for (size_t i = 0; i < count; i++)
        expect_close(t, i, y[i], reference_add_f32(a_before[i], b_before[i], clamp.min, clamp.max));
    case_end(t);
}

static void test_clamp(test *t, size_t count, placement where, range clamp)
{
    case_begin(t, "clamp_f32", "count %zu, %s, clamp %g to %g", count, placement_names[where], (double)clamp.min,
               (double)clamp.max);
    float *x = operand(t, count, where == OVER_A);
    const float *before = copy(t, x, count);
    float *y = where == OVER_A ? x : output_new(t, count * sizeof *y);

    RUN_KERNEL(t, clamp_f32,
               &(goss_clamp_f32_args){.x = x, .y = y, .count = count, .min = clamp.min, .max = clamp.max});
    for (size_t i = 0; i < count; i++) expect_same(t, i, y[i], fminf(fmaxf(before[i], clamp.min), clamp.max));
    case_end(t);
}

static void test_multiply(test *t, size_t count, placement where)
{
    case_begin(t, "multiply_f32", "count %zu, %s", count, placement_names[where]);
    float *a = operand(t, count, where == OVER_A), *b = operand(t, count, where == OVER_B);
    const float *a_before = copy(t, a, count), *b_before = copy(t, b, count);
    float *y = where == OVER_A ? a : where == OVER_B ? b : output_new(t, count * sizeof *y);

    RUN_KERNEL(t, multiply_f32, &(goss_multiply_f32_args){.a = a, .b = b, .y = y, .count = count});
    for (size_t i = 0; i < count; i++) expect_close(t, i, y[i], reference_multiply_f32(a_before[i], b_before[i]));
    case_end(t);
}

static void test_scale(test *t, size_t count, placement where)
{
    case_begin(t, "scale_f32", "count %zu, %s", count, placement_names[where]);
    const float factor = random_f32(t);
    float *x = operand(t, count, where == OVER_A);
    const float *before = copy(t, x, count);
    float *y = where == OVER_A ? x : output_new(t, count * sizeof *y);

    RUN_KERNEL(t, scale_f32, &(goss_scale_f32_args){.x = x, .y = y, .count = count, .factor = factor});
    for (size_t i = 0; i < count; i++) expect_close(t, i, y[i], reference_multiply_f32(before[i], factor));
    case_end(t);
}

/* Around zero, where the curve bends, and as far as f32 reaches. */
static float *curve_points(test *t, size_t count)
{
    static const float edges[] = {0, -0.0f, 87, -87, 88.5f, -88.5f, 1e4f, -1e4f, FLT_MAX, -FLT_MAX, FLT_MIN};
    float *x = output_new(t, count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = random_below(t, 4) ? 12 * random_f32(t) : edges[random_below(t, sizeof edges / sizeof *edges)];
    return x;
}

/* Rows with a gap that keeps what it holds between them. */
static void test_activations(test *t, size_t rows, size_t count, size_t gap, placement where)
{
    case_begin(t, "sigmoid_f32, silu_f32", "%zu rows of %zu, %zu apart, %s", rows, count, gap, placement_names[where]);
    const size_t stride = count + gap, all = rows * stride;
    float *x = curve_points(t, all), *other = copy(t, x, all);
    const float *before = copy(t, x, all);
    float *sigmoid = where == OVER_A ? x : copy(t, x, all), *silu = where == OVER_A ? other : copy(t, x, all);
    goss_activation_f32_args args = {.rows = rows, .stride = stride, .count = count};

    args.x = x, args.y = sigmoid;
    RUN_KERNEL(t, sigmoid_f32, &args);
    args.x = other, args.y = silu;
    RUN_KERNEL(t, silu_f32, &args);
    for (size_t i = 0; i < all; i++) {
        if (i % stride < count) {
            expect_close(t, i, sigmoid[i], reference_sigmoid_f32(before[i]));
            expect_close(t, i, silu[i], reference_silu_f32(before[i]));
        } else {
            expect_same(t, i, sigmoid[i], before[i]);
            expect_same(t, i, silu[i], before[i]);
        }
    }
    case_end(t);
}

void test_elementwise_f32(test *t)
{
    for (size_t vectors = 1; vectors <= 17; vectors++)
        for (size_t c = 0; c < CLAMPS; c++) {
            const size_t count = vectors * t->kernels->lanes;
            for (placement where = APART; where < PLACEMENTS; where++) test_add(t, count, where, clamps[c]);
            for (placement where = APART; where <= OVER_A; where++) test_clamp(t, count, where, clamps[c]);
        }
    for (size_t vectors = 1; vectors <= 17; vectors++) {
        const size_t count = vectors * t->kernels->lanes;
        for (placement where = APART; where < PLACEMENTS; where++) test_multiply(t, count, where);
        for (placement where = APART; where <= OVER_A; where++) {
            test_scale(t, count, where);
            for (size_t rows = 1; rows <= 3; rows++)
                test_activations(t, rows, count, (rows - 1) * t->kernels->lanes, where);
        }
    }
}

/* One value among finite ones, which reach from the smallest to the largest; NaN stands around them. */
static void test_finite(test *t, size_t count, size_t position, float value, bool finite)
{
    static const float ordinary[] = {0, -1, FLT_MAX, -FLT_MAX, FLT_MIN, -FLT_TRUE_MIN, 3e38f};
    case_begin(t, "all_finite_f32", "count %zu, %g at %zu", count, (double)value, position);
    float *x = input_exact(t, count * sizeof *x); /* the caller's own memory: no alignment, nothing behind */
    for (size_t i = 0; i < count; i++) x[i] = ordinary[random_below(t, 7)];
    if (position < count) x[position] = value;

    const int found = RUN_KERNEL(t, all_finite_f32, x, count);
    if ((found != 0) != finite) case_fail(t, "expected %s, found %d", finite ? "nonzero" : "0", found);
    case_end(t);
}

void test_all_finite_f32(test *t)
{
    static const float alien[] = {NAN, INFINITY, -INFINITY};
    for (size_t count = 0; count <= 4 * t->kernels->lanes + 3; count++) {
        test_finite(t, count, 0, FLT_MAX, true);
        for (size_t position = 0; position < count; position++)
            for (size_t i = 0; i < 3; i++) test_finite(t, count, position, alien[i], false);
    }
}
