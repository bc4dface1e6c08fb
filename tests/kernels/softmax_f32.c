#include <string.h>

#include "families.h"

typedef struct distribution {
    const char *name;
    float low, high; /* the values but the first one */
    float first;
} distribution;

static void test_softmax(test *t, size_t count, distribution d, bool in_place)
{
    case_begin(t, "softmax_f32", "count %zu, %s, %s", count, d.name, in_place ? "y over x" : "y apart");
    const size_t lanes = t->kernels->lanes, padded = (count + lanes - 1) / lanes * lanes;
    float *before = output_new(t, count * sizeof *before);
    for (size_t i = 0; i < count; i++) before[i] = d.low + (d.high - d.low) * (0.5f + 0.5f * random_f32(t));
    before[0] = d.first;

    /* Padding stays NaN. */
    float *x = (in_place ? output_new : input_new)(t, padded * sizeof *x);
    memcpy(x, before, count * sizeof *x);
    float *y = in_place ? x : output_new(t, padded * sizeof *y);
    RUN_KERNEL(t, softmax_f32, &(goss_softmax_f32_args){.x = x, .y = y, .count = count});
    const softmax_row row = reference_softmax_row(before, count);
    for (size_t i = 0; i < count; i++) expect_close(t, i, y[i], reference_softmax_f32(row, before[i]));
    case_end(t);
}

void test_softmax_f32(test *t)
{
    static const size_t counts[] = {1, 2, 3, 4, 5, 10, 16, 17, 1001};
    static const distribution distributions[] = {
        {"logits", -5, 5, 0},
        {"all equal", 3, 3, 3},
        {"large values", 1e4f, 1.0001e4f, 1e4f},
        {"huge values", -1.5e38f, 1.5e38f, 0},
        {"all very negative", -1e30f, -1e30f, -1e30f},
        {"one far below", -1, 1, -1e30f},
        {"one far above", -1, 1, 1e30f},
        {"tiny probabilities", -110, -70, 0},
        {"minus infinity among them", -1, 1, -INFINITY},
    };
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t d = 0; d < sizeof distributions / sizeof *distributions; d++) {
            const bool undefined = counts[c] == 1 && isinf(distributions[d].first);
            if (undefined) continue;
            test_softmax(t, counts[c], distributions[d], false);
            test_softmax(t, counts[c], distributions[d], true);
        }
}
