/* The vector layer's operations on whole numbers and bytes against scalar code; see vector.c. */
#include <math.h>
#include <string.h>

#include "harness.h"
#include "vector.h"

enum { LANES = VF32_LANES, BYTES = 4 * LANES, PART = 16, QUAD = 4, ROUNDS = 200 };

void GOSS_KERNEL(test_vector_bytes)(test *t);

static void expect_bytes(test *t, vi32 v, const uint8_t expected[BYTES])
{
    uint8_t found[BYTES];
    vi32_store(found, v);
    for (size_t i = 0; i < BYTES; i++)
        if (found[i] != expected[i]) case_fail(t, "byte %zu: expected %u, found %u", i, expected[i], found[i]);
}

static void expect_lanes(test *t, vi32 v, const int32_t expected[LANES])
{
    int32_t found[LANES];
    vi32_store(found, v);
    for (size_t i = 0; i < LANES; i++)
        if (found[i] != expected[i]) case_fail(t, "lane %zu: expected %d, found %d", i, expected[i], found[i]);
}

static void random_bytes(test *t, uint8_t *bytes, size_t count, uint32_t end)
{
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)random_below(t, end);
}

static int32_t random_i32(test *t) { return (int32_t)(random_below(t, UINT32_MAX) >> random_below(t, 32)); }

static void test_lanes(test *t)
{
    case_begin(t, "vi32_splat, vi32_add, vi32_sub, vi32_repeat", "random lanes");
    for (size_t round = 0; round < ROUNDS; round++) {
        int32_t a[LANES], b[LANES], sum[LANES], difference[LANES], splat[LANES], repeated[LANES];
        for (size_t i = 0; i < LANES; i++) {
            a[i] = random_i32(t), b[i] = random_i32(t);
            sum[i] = (int32_t)((uint32_t)a[i] + (uint32_t)b[i]);
            difference[i] = (int32_t)((uint32_t)a[i] - (uint32_t)b[i]);
            splat[i] = a[0];
            repeated[i] = a[i % 4];
        }
        expect_lanes(t, vi32_add(vi32_load(a), vi32_load(b)), sum);
        expect_lanes(t, vi32_sub(vi32_load(a), vi32_load(b)), difference);
        expect_lanes(t, vi32_splat(a[0]), splat);
        expect_lanes(t, vi32_repeat(a), repeated);
    }
    case_end(t);
}

static void test_conversions(test *t)
{
    case_begin(t, "vi32_to_f32, vi32_round", "ties, and beyond 2^24");
    for (size_t round = 0; round < ROUNDS; round++) {
        int32_t whole[LANES], rounded[LANES];
        float numbers[LANES], found[LANES];
        for (size_t i = 0; i < LANES; i++) {
            whole[i] = random_i32(t);
            numbers[i] = random_below(t, 2) ? (float)random_below(t, 1000) / 2 - 250 : 4e6f * random_f32(t);
            rounded[i] = (int32_t)nearbyintf(numbers[i]);
        }
        vf32_store(found, vi32_to_f32(vi32_load(whole)));
        for (size_t i = 0; i < LANES; i++) expect_same(t, i, found[i], (float)whole[i]);
        expect_lanes(t, vi32_round(vf32_load(numbers)), rounded);
    }
    case_end(t);
}

static void test_narrow_and_widen(test *t)
{
    case_begin(t, "vi32_narrow, vi32_widen", "saturated; the inverse");
    for (size_t round = 0; round < ROUNDS; round++) {
        int32_t wide[QUAD][LANES];
        uint8_t narrow[BYTES], bytes[BYTES];
        for (size_t k = 0; k < QUAD; k++)
            for (size_t i = 0; i < LANES; i++) {
                const int32_t v = wide[k][i] = random_i32(t) * (random_below(t, 2) ? 1 : -1);
                narrow[i / QUAD * PART + k * QUAD + i % QUAD] = (uint8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
            }
        expect_bytes(t, vi32_narrow(vi32_load(wide[0]), vi32_load(wide[1]), vi32_load(wide[2]), vi32_load(wide[3])),
                     narrow);
        random_bytes(t, bytes, BYTES, 128);
        const vi32 v = vi32_load(bytes);
        expect_bytes(t, vi32_narrow(vi32_widen(v, 0), vi32_widen(v, 1), vi32_widen(v, 2), vi32_widen(v, 3)), bytes);
    }
    case_end(t);
}

static void test_bytes(test *t)
{
    case_begin(t, "vi8_add, vi8_max, vi8_transpose, vi8_pick", "random bytes");
    for (size_t round = 0; round < ROUNDS; round++) {
        uint8_t a[BYTES], b[BYTES], any[BYTES], table[PART], sum[BYTES], max[BYTES], turned[BYTES], picked[BYTES];
        random_bytes(t, a, BYTES, 128);
        random_bytes(t, b, BYTES, 128);
        random_bytes(t, any, BYTES, round % 2 ? 256 : 20);
        random_bytes(t, table, PART, 256);
        for (size_t i = 0; i < BYTES; i++) {
            sum[i] = (uint8_t)(a[i] + any[i]);
            max[i] = a[i] > b[i] ? a[i] : b[i];
            turned[i] = a[i / PART * PART + i % QUAD * QUAD + i % PART / QUAD];
            picked[i] = any[i] < PART ? table[any[i]] : 0;
        }
        expect_bytes(t, vi8_add(vi32_load(a), vi32_load(any)), sum);
        expect_bytes(t, vi8_max(vi32_load(a), vi32_load(b)), max);
        expect_bytes(t, vi8_transpose(vi32_load(a)), turned);
        expect_bytes(t, vi8_pick(table, vi32_load(any)), picked);
    }
    case_end(t);
}

static void test_interleave_and_spread(test *t)
{
    case_begin(t, "vi8_interleave, vi8_spread", "random bytes");
    for (size_t round = 0; round < ROUNDS; round++) {
        uint8_t x[QUAD][BYTES], expected[QUAD][BYTES], spread[BYTES];
        const uint8_t *quads[LANES / QUAD];
        vi32 v[QUAD];
        for (size_t j = 0; j < QUAD; j++) {
            random_bytes(t, x[j], BYTES, 256);
            v[j] = vi32_load(x[j]);
        }
        for (size_t i = 0; i < BYTES; i++)
            for (size_t j = 0; j < QUAD; j++) {
                const size_t place = QUAD * (i % PART) + j; /* of the 64 bytes of this part */
                expected[place / PART][i / PART * PART + place % PART] = x[j][i];
            }
        for (size_t part = 0; part < LANES / QUAD; part++) {
            quads[part] = x[0] + random_below(t, BYTES - QUAD + 1);
            for (size_t i = 0; i < PART; i++) spread[part * PART + i] = quads[part][i % QUAD];
        }
        vi8_interleave(v);
        for (size_t j = 0; j < QUAD; j++) expect_bytes(t, v[j], expected[j]);
        expect_bytes(t, vi8_spread(quads), spread);
    }
    case_end(t);
}

/* The largest products among them, whose pairs fill 16 bits. */
static void test_dot(test *t)
{
    case_begin(t, "vdot_from, vdot_add, vdot_splat, vdot_row, vdot_sum", "sums of random products");
    for (size_t round = 0; round < ROUNDS; round++) {
        uint8_t x[BYTES];
        int8_t w[BYTES], quad[QUAD];
        const int32_t first = (int32_t)random_below(t, 1 << 20) - (1 << 19);
        int32_t expected[LANES];
        for (size_t i = 0; i < LANES; i++) expected[i] = first;
        vdot acc = vdot_from(first);
        for (size_t term = 0; term < 5; term++) {
            for (size_t i = 0; i < BYTES; i++) {
                x[i] = random_below(t, 2) ? 127 : (uint8_t)random_below(t, 128);
                w[i] = random_below(t, 2) ? (round % 2 ? 127 : -127) : (int8_t)((int)random_below(t, 255) - 127);
            }
            memcpy(quad, w, sizeof quad);
            for (size_t i = 0; i < BYTES; i++) expected[i / QUAD] += x[i] * (w[i] + quad[i % QUAD]);
            const vdot_x bytes = vdot_bytes(vi32_load(x));
            acc = vdot_add(acc, bytes, vdot_weights(vi32_load(w)));
            acc = vdot_add(acc, bytes, vdot_splat(quad));
            const vdot_x loaded = vdot_load(x);
            const vdot_block block = vdot_load_block(w);
            for (int row = 0; row < QUAD; row++) {
                acc = vdot_add(acc, loaded, vdot_row(block, row));
                for (size_t i = 0; i < BYTES; i++) expected[i / QUAD] += x[i] * w[(size_t)row * QUAD + i % QUAD];
            }
        }
        expect_lanes(t, vdot_sum(acc), expected);
    }
    case_end(t);
}

void GOSS_KERNEL(test_vector_bytes)(test *t)
{
    test_lanes(t);
    test_conversions(t);
    test_narrow_and_widen(t);
    test_bytes(t);
    test_interleave_and_spread(t);
    test_dot(t);
}
