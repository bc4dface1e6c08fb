/* Every operation of the vector layer against scalar code. Compiled once for each instruction set, as kernels are. */
#include "vector.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "harness.h"

enum { LANES = VF32_LANES };

void GOSS_KERNEL(test_vector)(test *t);
void GOSS_KERNEL(test_vector_bytes)(test *t);

/* Edges of the format first, then what random numbers give. */
static float operand(test *t, size_t round)
{
    static const float edges[] = {0.0f,    -0.0f,    1,        -1.5f,     FLT_MIN,  -FLT_MIN,
                                  FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, 16777216, FLT_EPSILON};
    const uint32_t count = sizeof edges / sizeof *edges;
    return round < 200 ? edges[random_below(t, count)] : ldexpf(random_f32(t), (int)random_below(t, 40) - 20);
}

static void operands(test *t, size_t round, float values[LANES])
{
    for (size_t lane = 0; lane < LANES; lane++) values[lane] = operand(t, round);
}

enum { ROUNDS = 400 };

static float scalar_add(float a, float b) { return a + b; }
static float scalar_sub(float a, float b) { return a - b; }
static float scalar_mul(float a, float b) { return a * b; }
static float scalar_div(float a, float b) { return a / b; }

static void test_binary(test *t, const char *name, vf32 (*operation)(vf32, vf32), float (*expected)(float, float))
{
    case_begin(t, name, "lane by lane");
    for (size_t round = 0; round < ROUNDS; round++) {
        float a[LANES], b[LANES], found[LANES];
        operands(t, round, a);
        operands(t, round, b);
        vf32_store(found, operation(vf32_load(a), vf32_load(b)));
        for (size_t lane = 0; lane < LANES; lane++) expect_same(t, lane, found[lane], expected(a[lane], b[lane]));
    }
    case_end(t);
}

/* Rounds once or twice, but the same in every lane. */
static void test_madd(test *t)
{
    bool once = true, twice = true;
    case_begin(t, "vf32_madd", "finite operands");
    for (size_t round = 200; round < ROUNDS; round++) {
        float acc[LANES], a[LANES], b[LANES], found[LANES];
        operands(t, round, acc);
        operands(t, round, a);
        operands(t, round, b);
        vf32_store(found, vf32_madd(vf32_load(acc), vf32_load(a), vf32_load(b)));
        for (size_t lane = 0; lane < LANES; lane++) {
            const float product = a[lane] * b[lane];
            once = once && found[lane] == fmaf(a[lane], b[lane], acc[lane]);
            twice = twice && found[lane] == acc[lane] + product;
        }
    }
    if (!once && !twice) case_fail(t, "rounds neither once nor twice throughout");
    case_end(t);
}

static void test_clamp(test *t)
{
    case_begin(t, "vf32_clamp", "ReLU6");
    for (size_t round = 0; round < ROUNDS; round++) {
        float x[LANES], found[LANES];
        operands(t, round, x);
        vf32_store(found, vf32_clamp(vf32_load(x), vf32_splat(0), vf32_splat(6)));
        for (size_t lane = 0; lane < LANES; lane++) expect_same(t, lane, found[lane], fminf(fmaxf(x[lane], 0), 6));
    }
    case_end(t);
}

/* Between guards, at every alignment that a float may have. */
static void test_load_and_store(test *t)
{
    for (size_t start = 0; start < LANES; start++) {
        case_begin(t, "vf32_load, vf32_store", "%zu floats from an aligned address", start);
        const size_t count = start + LANES;
        float *x = output_new(t, count * sizeof *x), *y = output_new(t, count * sizeof *y);
        fill_random(t, x, count);
        vf32_store(y + start, vf32_load(x + start));
        expect_untouched(t, 0, y, start);
        for (size_t lane = start; lane < count; lane++)
            if (memcmp(&y[lane], &x[lane], sizeof *y) != 0) case_fail(t, "[%zu] differs", lane);
        case_end(t);
    }
}

static void test_splat(test *t)
{
    case_begin(t, "vf32_splat", "every lane");
    float found[LANES];
    vf32_store(found, vf32_splat(-3.25f));
    for (size_t lane = 0; lane < LANES; lane++) expect_same(t, lane, found[lane], -3.25f);
    case_end(t);
}

static void test_first(test *t)
{
    for (size_t n = 0; n <= LANES; n++) {
        case_begin(t, "vf32_first", "%zu lanes, NaN in the others", n);
        float x[LANES], found[LANES];
        for (size_t lane = 0; lane < LANES; lane++) x[lane] = lane < n ? (float)lane + 1 : NAN;
        vf32_store(found, vf32_first(vf32_load(x), n, vf32_splat(-7)));
        for (size_t lane = 0; lane < LANES; lane++) expect_same(t, lane, found[lane], lane < n ? x[lane] : -7);
        case_end(t);
    }
}

static void test_even_and_odd(test *t)
{
    case_begin(t, "vf32_even, vf32_odd", "every lane");
    float x[2 * LANES], found[LANES];
    for (size_t lane = 0; lane < 2 * LANES; lane++) x[lane] = (float)lane;
    vf32_store(found, vf32_even(vf32_load(x), vf32_load(x + LANES)));
    for (size_t lane = 0; lane < LANES; lane++) expect_same(t, lane, found[lane], 2 * (float)lane);
    vf32_store(found, vf32_odd(vf32_load(x), vf32_load(x + LANES)));
    for (size_t lane = 0; lane < LANES; lane++) expect_same(t, lane, found[lane], 2 * (float)lane + 1);
    case_end(t);
}

static void test_scale2(test *t)
{
    for (int n = -126; n <= 126; n++) {
        case_begin(t, "vf32_scale2", "n %d", n);
        float values[LANES], exponents[LANES], found[LANES];
        for (size_t lane = 0; lane < LANES; lane++) {
            values[lane] = (1.5f + random_f32(t) / 2) * (lane % 2 ? -1 : 1);
            exponents[lane] = VF32_ROUND + (float)(lane == 0 ? n : (int)random_below(t, 253) - 126);
        }
        vf32_store(found, vf32_scale2(vf32_load(values), vf32_load(exponents)));
        for (size_t lane = 0; lane < LANES; lane++)
            expect_same(t, lane, found[lane], ldexpf(values[lane], (int)(exponents[lane] - VF32_ROUND)));
        case_end(t);
    }
}

/* Pairwise: log2(lanes) additions lead to any lane. */
static void test_sum(test *t)
{
    case_begin(t, "vf32_sum", "random lanes");
    for (size_t round = 200; round < ROUNDS; round++) {
        float x[LANES];
        double sum = 0, magnitude = 0;
        operands(t, round, x);
        for (size_t lane = 0; lane < LANES; lane++) sum += (double)x[lane], magnitude += fabs((double)x[lane]);
        expect_close(t, round, vf32_sum(vf32_load(x)), (reference){sum, log2(LANES) * FLT_EPSILON * magnitude});
    }
    case_end(t);
}

static void test_largest(test *t)
{
    for (size_t place = 0; place < LANES; place++) {
        case_begin(t, "vf32_largest", "in lane %zu", place);
        for (size_t round = 0; round < ROUNDS; round++) {
            float x[LANES], largest = -INFINITY;
            operands(t, round, x);
            if (round % 2) x[place] = FLT_MAX;
            for (size_t lane = 0; lane < LANES; lane++) largest = fmaxf(largest, x[lane]);
            expect_same(t, round, vf32_largest(vf32_load(x)), largest);
        }
        case_end(t);
    }
}

void GOSS_KERNEL(test_vector)(test *t)
{
    case_begin(t, "VF32_LANES", "as the table says");
    if (t->kernels->lanes != LANES) case_fail(t, "expected %d, found %zu", LANES, t->kernels->lanes);
    case_end(t);

    test_load_and_store(t);
    test_splat(t);
    test_binary(t, "vf32_add", vf32_add, scalar_add);
    test_binary(t, "vf32_sub", vf32_sub, scalar_sub);
    test_binary(t, "vf32_mul", vf32_mul, scalar_mul);
    test_binary(t, "vf32_div", vf32_div, scalar_div);
    test_binary(t, "vf32_min", vf32_min, fminf);
    test_binary(t, "vf32_max", vf32_max, fmaxf);
    test_madd(t);
    test_clamp(t);
    test_first(t);
    test_even_and_odd(t);
    test_scale2(t);
    test_sum(t);
    test_largest(t);
    GOSS_KERNEL(test_vector_bytes)(t);
}
