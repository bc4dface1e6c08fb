#include <float.h>
#include <string.h>

#include "families.h"

/* Around zero, where the curves bend, and as far as f32 reaches. */
static void fill_points(test *t, float *x, size_t count)
{
    static const float edges[] = {0, -0.0f, 3, -3, 20, -20, 87, -87, 88.5f, 1e4f, -1e4f, FLT_MAX, -FLT_MAX, FLT_MIN};
    for (size_t i = 0; i < count; i++)
        x[i] = random_below(t, 4) ? 12 * random_f32(t) : edges[random_below(t, sizeof edges / sizeof *edges)];
}

/* Where the result goes: apart from x, or over it. */
typedef struct points {
    const float *before; /* what x holds at first */
    float *x, *y;
} points;

static points begin(test *t, const char *name, size_t count, bool in_place)
{
    case_begin(t, name, "count %zu, y %s x", count, in_place ? "over" : "apart from");
    float *before = output_new(t, count * sizeof *before), *x = output_new(t, count * sizeof *x);
    fill_points(t, before, count);
    memcpy(x, before, count * sizeof *x);
    return (points){before, x, in_place ? x : output_new(t, count * sizeof *x)};
}

#define TEST_CURVE(name)                                                                                               \
    static void test_##name(test *t, size_t count, bool in_place)                                                      \
    {                                                                                                                  \
        const points p = begin(t, #name "_f32", count, in_place);                                                      \
        RUN_KERNEL(t, name##_f32, &(goss_activation_f32_args){.x = p.x, .y = p.y, .rows = 1, .count = count});         \
        for (size_t i = 0; i < count; i++) expect_close(t, i, p.y[i], reference_##name##_f32(p.before[i]));            \
        case_end(t);                                                                                                   \
    }

TEST_CURVE(hard_swish)
TEST_CURVE(tanh)
TEST_CURVE(elu)
TEST_CURVE(softplus)
TEST_CURVE(mish)
TEST_CURVE(erf)
TEST_CURVE(gelu)
TEST_CURVE(gelu_tanh)

static void test_leaky_relu(test *t, size_t count, bool in_place)
{
    const points p = begin(t, "leaky_relu_f32", count, in_place);
    const float slope = random_f32(t);
    RUN_KERNEL(t, leaky_relu_f32, &(goss_leaky_relu_f32_args){.x = p.x, .y = p.y, .count = count, .slope = slope});
    for (size_t i = 0; i < count; i++) expect_close(t, i, p.y[i], reference_leaky_relu_f32(p.before[i], slope));
    case_end(t);
}

void test_curves_f32(test *t)
{
    static void (*const curves[])(test *, size_t, bool) = {
        test_hard_swish, test_tanh, test_elu,       test_softplus,   test_mish,
        test_erf,        test_gelu, test_gelu_tanh, test_leaky_relu,
    };
    for (size_t vectors = 1; vectors <= 9; vectors++)
        for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
            for (int in_place = 0; in_place < 2; in_place++) curves[i](t, vectors * t->kernels->lanes, in_place);
}
