/* The yardstick does the work that it says: as many chains as it counts, each as long as the rounds. */
#include <math.h>

#include "families.h"

static void test_rounds(test *t, size_t rounds, size_t a_round)
{
    case_begin(t, "multiply_adds_f32", "%zu rounds", rounds);
    float *sink = output_new(t, sizeof *sink);
    const size_t done = RUN_KERNEL(t, multiply_adds_f32, rounds, sink);
    if (done != rounds * a_round) case_fail(t, "expected %zu multiply-adds, found %zu", rounds * a_round, done);

    double expected = 0;
    for (size_t chain = 0; chain < a_round / t->kernels->lanes; chain++) {
        double value = (double)chain;
        for (size_t i = 0; i < rounds; i++) value = 1 + value / 2;
        expected += value * (double)t->kernels->lanes;
    }
    if (!(fabs(*sink - expected) <= 1e-5 * expected)) case_fail(t, "expected %g, found %g", expected, (double)*sink);
    case_end(t);
}

void test_multiply_adds_f32(test *t)
{
    float sink = 0;
    const size_t a_round = t->kernels->multiply_adds_f32(1, &sink);
    for (size_t rounds = 0; rounds < 40; rounds++) test_rounds(t, rounds, a_round);
}
