/* One plane in another size, f32: each row of the result from some rows of x, then each of its pixels from some of that
 * row's. */
#include <stdbool.h>
#include <string.h>

#include "kernels.h"
#include "vector.h"

/* row = sum of weights[t] * x[index[t]] */
static void mix_rows(const goss_resize_f32_args *a, const uint32_t *index, const float *weights, size_t taps)
{
    for (size_t i = 0; i < a->in_x; i += VF32_LANES) {
        vf32 sum = vf32_splat(0);
        for (size_t t = 0; t < taps; t++)
            sum = vf32_madd(sum, vf32_load(a->x + index[t] * a->in_x + i), vf32_splat(weights[t]));
        vf32_store(a->row + i, sum);
    }
}

static void mix_columns(const goss_resize_f32_args *a, float *y)
{
    const uint32_t *index = a->columns.index;
    const float *weights = a->columns.weights;
    for (size_t c = 0; c < a->out_x; c++) {
        const size_t taps = a->columns.counts[c];
        float sum = 0;
        for (size_t t = 0; t < taps; t++) sum += a->row[index[t]] * weights[t];
        index += taps, weights += taps;
        y[c] = sum;
    }
}

void GOSS_KERNEL(resize_f32)(const goss_resize_f32_args *a)
{
    const uint32_t *index = a->rows.index;
    const float *weights = a->rows.weights;
    for (size_t r = 0, before = 0; r < a->out_y; r++) {
        const size_t taps = a->rows.counts[r];
        float *y = a->y + r * a->out_x;
        const bool again = r > 0 && taps == before && memcmp(index, index - before, taps * sizeof *index) == 0 &&
                           memcmp(weights, weights - before, taps * sizeof *weights) == 0;
        if (again) {
            memcpy(y, y - a->out_x, a->out_x * sizeof *y);
        } else {
            mix_rows(a, index, weights, taps);
            mix_columns(a, y);
        }
        index += taps, weights += taps, before = taps;
    }
}
