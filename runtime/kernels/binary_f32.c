/* Two operands, f32, element by element. Of either there may be one number for all: it then stands in a vector that
 * the loop does not step over. */
#include <assert.h>

#include "kernels.h"
#include "vector.h"

__attribute__((always_inline)) static inline void apply(const goss_binary_f32_args *args, vf32 (*f)(vf32, vf32))
{
    assert(args->count > 0);
    const float *a = args->a, *b = args->b;
    float same_a[VF32_LANES], same_b[VF32_LANES];
    if (!args->a_step) vf32_store(same_a, vf32_splat(*a)), a = same_a;
    if (!args->b_step) vf32_store(same_b, vf32_splat(*b)), b = same_b;
    const size_t a_step = args->a_step * VF32_LANES, b_step = args->b_step * VF32_LANES;

    size_t i = 0;
    for (; i + VF32_LANES <= args->count; i += VF32_LANES, a += a_step, b += b_step)
        vf32_store(args->y + i, f(vf32_load(a), vf32_load(b)));
    if (i < args->count) vf32_store_first(args->y + i, f(vf32_load(a), vf32_load(b)), args->count - i);
}

void GOSS_KERNEL(binary_add_f32)(const goss_binary_f32_args *a) { apply(a, vf32_add); }
void GOSS_KERNEL(binary_sub_f32)(const goss_binary_f32_args *a) { apply(a, vf32_sub); }
void GOSS_KERNEL(binary_mul_f32)(const goss_binary_f32_args *a) { apply(a, vf32_mul); }
void GOSS_KERNEL(binary_div_f32)(const goss_binary_f32_args *a) { apply(a, vf32_div); }
void GOSS_KERNEL(binary_min_f32)(const goss_binary_f32_args *a) { apply(a, vf32_min); }
void GOSS_KERNEL(binary_max_f32)(const goss_binary_f32_args *a) { apply(a, vf32_max); }
