/* Mean of each channel plane, f32. */
#include "kernels.h"
#include "vector.h"

void GOSS_KERNEL(global_average_pool_f32)(const goss_global_average_pool_f32_args *a)
{
    const vf32 zero = vf32_splat(0);
    const size_t whole = a->pixels - a->pixels % VF32_LANES;

    for (size_t channel = 0; channel < a->channels; channel++) {
        const float *x = a->x + channel * a->x_stride;
        vf32 sum = zero;
        for (size_t pixel = 0; pixel < whole; pixel += VF32_LANES) sum = vf32_add(sum, vf32_load(x + pixel));
        if (whole < a->pixels) sum = vf32_add(sum, vf32_first(vf32_load(x + whole), a->pixels - whole, zero));
        a->y[channel * a->y_stride] = vf32_sum(sum) / (float)a->pixels;
    }
}
