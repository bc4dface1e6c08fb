/* Many numbers to one, f32. Four sums at a time: they do not wait for each other, and round less. */
#include <assert.h>
#include <math.h>

#include "kernels.h"
#include "vector.h"

__attribute__((always_inline)) static inline float reduce(const float *x, size_t count, vf32 (*f)(vf32, vf32),
                                                          float (*one)(float, float), float neutral)
{
    assert(count > 0);
    enum { AT_ONCE = 4, STEP = AT_ONCE * VF32_LANES };
    const vf32 nothing = vf32_splat(neutral);
    vf32 results[AT_ONCE] = {nothing, nothing, nothing, nothing};
    size_t i = 0;
    for (; i + STEP <= count; i += STEP)
        for (int v = 0; v < AT_ONCE; v++) results[v] = f(results[v], vf32_load(x + i + v * VF32_LANES));
    for (; i < count; i += VF32_LANES) {
        const size_t valid = count - i < VF32_LANES ? count - i : VF32_LANES;
        results[0] = f(results[0], vf32_first(vf32_load(x + i), valid, nothing));
    }
    float lanes[VF32_LANES], result = neutral;
    vf32_store(lanes, f(f(results[0], results[1]), f(results[2], results[3])));
    for (int lane = 0; lane < VF32_LANES; lane++) result = one(result, lanes[lane]);
    return result;
}

static inline float add(float a, float b) { return a + b; }
static inline float multiply(float a, float b) { return a * b; }
static inline float smaller(float a, float b) { return a < b ? a : b; }
static inline float larger(float a, float b) { return a > b ? a : b; }

float GOSS_KERNEL(reduce_sum_f32)(const float *x, size_t count) { return reduce(x, count, vf32_add, add, 0); }
float GOSS_KERNEL(reduce_product_f32)(const float *x, size_t count) { return reduce(x, count, vf32_mul, multiply, 1); }
float GOSS_KERNEL(reduce_min_f32)(const float *x, size_t count)
{
    return reduce(x, count, vf32_min, smaller, INFINITY);
}
float GOSS_KERNEL(reduce_max_f32)(const float *x, size_t count)
{
    return reduce(x, count, vf32_max, larger, -INFINITY);
}
