/* kernel_tests [--seed N] [FAMILY]: every kernel of every instruction set of this machine against plain loops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families.h"
#include "platform.h"

typedef void (*family_test)(test *);

static const struct {
    const char *name;
    family_test run;
} families[] = {
    {"pointwise_f32", test_pointwise_f32},
    {"pack_f32", test_pack_f32},
    {"depthwise_f32", test_depthwise_f32},
    {"depthwise_square_f32", test_depthwise_square_f32},
    {"fully_connected_f32", test_fully_connected_f32},
    {"global_average_pool_f32", test_global_average_pool_f32},
    {"pool_f32", test_pool_f32},
    {"elementwise_f32", test_elementwise_f32},
    {"curves_f32", test_curves_f32},
    {"all_finite_f32", test_all_finite_f32},
    {"softmax_f32", test_softmax_f32},
    {"multiply_adds_f32", test_multiply_adds_f32},
    {"pointwise_i8", test_pointwise_i8},
    {"fully_connected_i8", test_fully_connected_i8},
    {"depthwise_i8", test_depthwise_i8},
    {"pool_i8", test_pool_i8},
    {"elementwise_i8", test_elementwise_i8},
    {"quantize_i8", test_quantize_i8},
};

/* CMake lists the instruction sets of this build: GOSS_TEST_ISAS is X(generic) X(neon) or the like. */
#define X(isa) void goss_test_vector_##isa(test *t);
GOSS_TEST_ISAS
#undef X
#define X(isa) {#isa, goss_test_vector_##isa},
static const struct {
    const char *isa;
    family_test run;
} vector_tests[] = {GOSS_TEST_ISAS};
#undef X
enum { ISAS = sizeof vector_tests / sizeof *vector_tests };

typedef struct options {
    uint64_t seed;
    const char *family; /* NULL = all */
} options;

typedef struct totals {
    size_t cases, failures;
} totals;

static bool chosen(const options *o, const char *family) { return !o->family || strcmp(o->family, family) == 0; }

static void test_vector_layer(test *t)
{
    for (size_t i = 0; i < ISAS; i++)
        if (strcmp(vector_tests[i].isa, t->kernels->isa) == 0) {
            vector_tests[i].run(t);
            return;
        }
    case_begin(t, "vector layer", "tests of this instruction set");
    case_fail(t, "not built");
    case_end(t);
}

static totals test_kernels(const goss_kernels *kernels, const options *o)
{
    test t = {.kernels = kernels};
    print_on_crash(t.subject);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        t.random_state = o->seed;
        if (chosen(o, families[i].name)) families[i].run(&t);
    }
    t.random_state = o->seed;
    if (chosen(o, "vector")) test_vector_layer(&t);

    totals result = {t.cases, t.failed_cases};
    if (!o->family) result.failures += print_uncovered(&t);
    printf("%s: %zu cases, %zu failures\n", kernels->isa, result.cases, result.failures);
    return result;
}

/* Instruction sets that are in this build but not in this machine. */
static size_t print_skipped(void)
{
    size_t skipped = 0;
    for (size_t i = 0; i < ISAS; i++) {
        bool available = false;
        for (const goss_kernels *const *k = goss_kernels_available(); *k; k++)
            available = available || strcmp((*k)->isa, vector_tests[i].isa) == 0;
        if (!available) printf("SKIP %s: this machine cannot run it\n", vector_tests[i].isa), skipped++;
    }
    if (*platform_limits()) printf("SKIP %s\n", platform_limits()), skipped++;
    return skipped;
}

static bool parse(int count, char **arguments, options *o)
{
    for (int i = 1; i < count; i++) {
        char *end = arguments[i];
        if (strcmp(arguments[i], "--seed") == 0 && i + 1 < count) {
            o->seed = strtoull(arguments[++i], &end, 10);
            if (*end || end == arguments[i]) return false;
        } else if (arguments[i][0] != '-' && !o->family) {
            o->family = arguments[i];
        } else {
            return false;
        }
    }
    return true;
}

int main(int count, char **arguments)
{
    options o = {.seed = 1};
    if (!parse(count, arguments, &o)) {
        fprintf(stderr, "usage: kernel_tests [--seed N] [FAMILY]\n");
        return EXIT_FAILURE;
    }
    printf("seed %llu\n", (unsigned long long)o.seed);

    totals all = {0};
    for (const goss_kernels *const *kernels = goss_kernels_available(); *kernels; kernels++) {
        const totals one = test_kernels(*kernels, &o);
        all.cases += one.cases;
        all.failures += one.failures;
    }
    const size_t skipped = print_skipped();
    printf("%zu cases, %zu failures, %zu skipped\n", all.cases, all.failures, skipped);
    if (all.cases == 0) fprintf(stderr, "kernel_tests: no family is called '%s'\n", o.family);
    return all.failures || all.cases == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
