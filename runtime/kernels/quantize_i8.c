/* Between f32 planes and planes of quads. Rows of pixels are the lanes: 4 channels' vectors, transposed, are quads. */
#include <assert.h>

#include "requantize.h"

enum { QUAD = 4 };

void GOSS_KERNEL(quantize_i8)(const goss_quantize_i8_args *a)
{
    assert(a->count % VF32_LANES == 0);
    const targets t = targets_of(a->target);
    const vf32 multiplier = vf32_splat(a->multiplier);
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        vf32 v[QUAD];
        for (int c = 0; c < QUAD; c++) v[c] = vf32_mul(vf32_load(a->x[c] + i), multiplier);
        vi32_store(a->y + i * QUAD, vi8_transpose(round_vectors(v, &t)));
    }
}

void GOSS_KERNEL(dequantize_i8)(const goss_dequantize_i8_args *a)
{
    assert(a->count % VF32_LANES == 0 && a->channels >= 1 && a->channels <= QUAD);
    const vi32 zero_point = vi32_splat(a->zero_point);
    const vf32 scale = vf32_splat(a->scale);
    for (size_t i = 0; i < a->count; i += VF32_LANES) {
        const vi32 rows = vi8_transpose(vi32_load(a->x + i * QUAD));
        vf32 v[QUAD];
        for (int c = 0; c < QUAD; c++) v[c] = vf32_mul(offset_vector(rows, c, zero_point), scale);
        for (size_t c = 0; c < a->channels; c++) vf32_store(a->y + c * a->y_stride + i, v[c]);
    }
}
