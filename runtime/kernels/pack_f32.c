/* Packing and unpacking of planes, f32.
 *
 * Rows are written in whole vectors, from first to last: what runs over the end of a row is overwritten by the next
 * one, or lies in the room behind the last. */
#include "kernels.h"
#include "vector.h"

static void fill_zero(float *y, size_t count)
{
    for (size_t i = 0; i < count; i += VF32_LANES) vf32_store(y + i, vf32_splat(0));
}

static void copy(const float *x, float *y, size_t count)
{
    for (size_t i = 0; i < count; i += VF32_LANES) vf32_store(y + i, vf32_load(x + i));
}

/* y[i] = x[i * stride] */
static void gather(const float *x, size_t stride, float *y, size_t count)
{
    size_t i = 0;
    if (stride == 2)
        for (; i + VF32_LANES <= count; i += VF32_LANES)
            vf32_store(y + i, vf32_even(vf32_load(x + 2 * i), vf32_load(x + 2 * i + VF32_LANES)));
    for (; i < count; i++) y[i] = x[i * stride];
}

typedef struct span {
    size_t first, end;
} span;

/* The positions p < count with 0 <= p * stride + phase - pad < size. */
static span inside(size_t count, size_t stride, size_t phase, size_t pad, size_t size)
{
    const size_t before = pad > phase ? (pad - phase + stride - 1) / stride : 0;
    const size_t room = size + pad, after = room > phase ? (room - phase + stride - 1) / stride : 0;
    const size_t first = before < count ? before : count;
    return (span){first, after < first ? first : after < count ? after : count};
}

void GOSS_KERNEL(pack_f32)(const goss_pack_f32_args *a)
{
    float *phase = a->packed;
    for (size_t phase_y = 0; phase_y < a->phases_y; phase_y++) {
        const span rows = inside(a->rows, a->stride_y, phase_y, a->pad_top, a->in_y);
        for (size_t phase_x = 0; phase_x < a->phases_x; phase_x++, phase += a->phase_floats) {
            const span columns = inside(a->columns, a->stride_x, phase_x, a->pad_left, a->in_x);
            const size_t wide = columns.end - columns.first;
            fill_zero(phase, rows.first * a->columns);
            for (size_t row = rows.first; row < rows.end; row++) {
                const float *x = a->x + (row * a->stride_y + phase_y - a->pad_top) * a->in_x;
                float *packed = phase + row * a->columns;
                fill_zero(packed, columns.first);
                if (wide == 0) {
                } else if (a->stride_x == 1) {
                    copy(x + columns.first + phase_x - a->pad_left, packed + columns.first, wide);
                } else {
                    gather(x + (columns.first * a->stride_x + phase_x - a->pad_left), a->stride_x,
                           packed + columns.first, wide);
                }
                fill_zero(packed + columns.end, a->columns - columns.end);
            }
            fill_zero(phase + rows.end * a->columns, (a->rows - rows.end) * a->columns);
        }
    }
}

void GOSS_KERNEL(unpack_f32)(const goss_unpack_f32_args *a)
{
    const size_t whole = a->y_columns - a->y_columns % VF32_LANES;
    const float *x = a->x;
    float *y = a->y;
    for (size_t row = 0; row < a->rows; row++, x += a->x_columns, y += a->y_columns) {
        if (whole + VF32_LANES <= (a->rows - row) * a->y_columns) {
            copy(x, y, a->y_columns);
        } else { /* behind the last row lies somebody else's */
            copy(x, y, whole);
            for (size_t c = whole; c < a->y_columns; c++) y[c] = x[c];
        }
    }
}
