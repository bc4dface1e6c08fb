#include <string.h>

#include "families.h"

typedef struct unary {
    const char *name;
    size_t entry; /* of goss_kernels */
    float low, high;
    double (*expected)(double);
    double roundings; /* that the result may be off by, relative to it or to 1 */
} unary;

static double reciprocal(double x) { return 1 / x; }
static double sign(double x) { return (x > 0) - (x < 0); }

#define UNARY(name, low, high, expected, roundings)                                                                    \
    {#name, offsetof(goss_kernels, name##_f32), low, high, expected, roundings}

static const unary functions[] = {
    UNARY(exp, -80, 88, exp, 8),
    UNARY(log, 1e-30f, 1e30f, log, 2),
    UNARY(sqrt, 0, 1e30f, sqrt, 1),
    UNARY(abs, -9, 9, fabs, 0),
    UNARY(reciprocal, 1, 2, reciprocal, 1),
    UNARY(floor, -9, 9, floor, 0),
    UNARY(ceil, -9, 9, ceil, 0),
    UNARY(round, -9, 9, rint, 0),
    UNARY(sign, -1, 1, sign, 0),
    UNARY(sin, -50, 50, sin, 2),
    UNARY(cos, -50, 50, cos, 2),
};

/* Rows with a gap that keeps what it holds between them. */
static void test_function(test *t, const unary *f, size_t rows, size_t count, size_t gap, bool in_place)
{
    case_begin(t, f->name, "%zu rows of %zu, %zu apart, y %s x", rows, count, gap, in_place ? "over" : "apart from");
    const size_t stride = count + gap, all = rows * stride;
    float *x = output_new(t, all * sizeof *x), *before = output_new(t, all * sizeof *before);
    for (size_t i = 0; i < all; i++) {
        before[i] = f->low + (f->high - f->low) * (0.5f + 0.5f * random_f32(t));
        if (random_below(t, 4) == 0 && f->high < 10) before[i] = roundf(before[i]) + 0.5f * (float)random_below(t, 2);
    }
    memcpy(x, before, all * sizeof *x);
    float *y = in_place ? x : output_new(t, all * sizeof *y);
    if (!in_place) memcpy(y, before, all * sizeof *y);

    goss_activation_kernel *kernel;
    const void *entry = (const char *)t->kernels + f->entry;
    memcpy(&kernel, entry, sizeof kernel);
    kernel_covered(t, entry);
    kernel(&(goss_activation_f32_args){.x = x, .y = y, .rows = rows, .stride = stride, .count = count});
    for (size_t i = 0; i < all; i++) {
        if (i % stride >= count) {
            expect_same(t, i, y[i], before[i]);
            continue;
        }
        const double value = f->expected((double)before[i]);
        expect_close(
            t, i, y[i],
            (reference){value, f->roundings * 6e-8 * fmax(fabs(value), f->entry == functions[0].entry ? 0 : 1)});
    }
    case_end(t);
}

/* Beyond what f32 can hold. */
static void test_exp_at_its_ends(test *t)
{
    static const float points[] = {89, 1e4f, INFINITY, -104, -1e4f, -INFINITY, 0, 88.5f};
    static const float expected[] = {INFINITY, INFINITY, INFINITY, 0, 0, 0, 1};
    case_begin(t, "exp_f32", "at the ends");
    const size_t lanes = t->kernels->lanes, count = (8 + lanes - 1) / lanes * lanes;
    float *x = output_new(t, count * sizeof *x), *y = output_new(t, count * sizeof *y);
    for (size_t i = 0; i < count; i++) x[i] = points[i % 8];
    RUN_KERNEL(t, exp_f32, &(goss_activation_f32_args){.x = x, .y = y, .rows = 1, .count = count});
    for (size_t i = 0; i < 7; i++) expect_same(t, i, y[i], expected[i]);
    expect_close(t, 7, y[7], (reference){exp(88.5), 1e-6 * exp(88.5)});
    case_end(t);
}

/* Any bits: angles of every size, what is near a right angle, what is no number. */
static void test_angles(test *t, bool cosine)
{
    case_begin(t, cosine ? "cos_f32" : "sin_f32", "any angle");
    static const float points[] = {0, -0.0f, 1.5707964f, 2.3561945f, 1e-40f, 16367173.0f, 3.4e38f, 5.3718e37f};
    const size_t lanes = t->kernels->lanes, count = 512 / lanes * lanes;
    float *x = output_new(t, count * sizeof *x), *y = output_new(t, count * sizeof *y);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (random_below(t, 1 << 16) << 16) + random_below(t, 1 << 16);
        memcpy(x + i, &bits, sizeof bits);
        if (i < sizeof points / sizeof *points) x[i] = points[i];
    }
    const goss_activation_f32_args a = {.x = x, .y = y, .rows = 1, .count = count};
    if (cosine)
        RUN_KERNEL(t, cos_f32, &a);
    else
        RUN_KERNEL(t, sin_f32, &a);
    for (size_t i = 0; i < count; i++) {
        const double value = cosine ? cos((double)x[i]) : sin((double)x[i]);
        if (isfinite(x[i]))
            expect_close(t, i, y[i], (reference){value, 6e-8 * fabs(value) + 1e-45});
        else
            expect_same(t, i, (float)isnan(y[i]), 1);
    }
    case_end(t);
}

void test_unary_f32(test *t)
{
    for (int round = 0; round < 20; round++) test_angles(t, round % 2);
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++)
        for (size_t vectors = 1; vectors <= 5; vectors++)
            for (size_t rows = 1; rows <= 3; rows++)
                for (int in_place = 0; in_place < 2; in_place++)
                    test_function(t, &functions[f], rows, vectors * t->kernels->lanes, (rows - 1) * t->kernels->lanes,
                                  in_place);
    test_exp_at_its_ends(t);
}
