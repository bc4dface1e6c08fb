/* Packing and unpacking of planes, f32.
 *
 * Rows are written in whole vectors, from first to last: what runs over the end of a row is overwritten by the next
 * one, or lies in the room behind the last. */
#include <stdbool.h>

#include "kernels.h"
#include "vector.h"

static void fill(float *y, size_t count, float value)
{
    for (size_t i = 0; i < count; i += VF32_LANES) vf32_store(y + i, vf32_splat(value));
}

static void copy(const float *x, float *y, size_t count)
{
    for (size_t i = 0; i < count; i += VF32_LANES) vf32_store(y + i, vf32_load(x + i));
}

static inline void split_vectors(const float *x, size_t i, float *even, float *odd)
{
    const vf32 low = vf32_load(x + i), high = vf32_load(x + i + VF32_LANES);
    vf32_store(even + i / 2, vf32_even(low, high));
    vf32_store(odd + i / 2, vf32_odd(low, high));
}

/* even[i] = x[2 i], odd[i] = x[2 i + 1]. Nothing is read behind x: the last vectors overlap those before them. */
static void split(const float *x, size_t count, float *even, float *odd)
{
    enum { STEP = 2 * VF32_LANES };
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) split_vectors(x, i, even, odd);
    if (count >= STEP && i < count) {
        i = count - count % 2;
        split_vectors(x, i - STEP, even, odd);
    }
    for (; i < count; i++) (i % 2 ? odd : even)[i / 2] = x[i];
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

/* What lies around the `count` values of a packed row, which begin at `first`. */
static void finish_row(const goss_pack_f32_args *a, float *packed, size_t first, size_t count)
{
    for (size_t c = 0; c < first && c < a->columns; c++) packed[c] = a->outside;
    if (first + count < a->columns) fill(packed + first + count, a->columns - first - count, a->outside);
}

/* Both phases of a row at stride 2. Where a phase has no room for all values, the next row overwrites the surplus. */
static void pack_row_in_two(const goss_pack_f32_args *a, const float *x, float *packed)
{
    const size_t evens = (a->in_x + 1) / 2, odds = a->in_x / 2, first_even = a->pad_left / 2;
    const size_t first_odd = (a->pad_left + 1) / 2;
    float *even = packed + a->pad_left % 2 * a->phase_floats, *odd = packed + (a->pad_left + 1) % 2 * a->phase_floats;
    split(x, a->in_x, even + first_even, odd + first_odd);
    finish_row(a, even, first_even, evens);
    finish_row(a, odd, first_odd, odds);
}

static void pack_row(const goss_pack_f32_args *a, const float *x, size_t phase, float *packed)
{
    const span columns = inside(a->columns, a->stride_x, phase, a->pad_left, a->in_x);
    const size_t wide = columns.end - columns.first;
    if (wide > 0) {
        const float *from = x + (columns.first * a->stride_x + phase - a->pad_left);
        if (a->stride_x == 1)
            copy(from, packed + columns.first, wide);
        else
            for (size_t c = 0; c < wide; c++) packed[columns.first + c] = from[c * a->stride_x];
    }
    finish_row(a, packed, columns.first, wide);
}

static void pack_row_in_phases(const goss_pack_f32_args *a, const float *x, float *packed)
{
    if (a->stride_x == 2 && a->phases_x == 2 && a->pad_left + a->in_x <= 2 * a->columns + 16) {
        pack_row_in_two(a, x, packed);
        return;
    }
    for (size_t phase_x = 0; phase_x < a->phases_x; phase_x++)
        pack_row(a, x, phase_x, packed + phase_x * a->phase_floats);
}

static void fill_rows(const goss_pack_f32_args *a, size_t first, size_t end, float *phases)
{
    for (size_t phase_x = 0; phase_x < a->phases_x; phase_x++)
        fill(phases + phase_x * a->phase_floats + first * a->columns, (end - first) * a->columns, a->outside);
}

void GOSS_KERNEL(pack_f32)(const goss_pack_f32_args *a)
{
    for (size_t phase_y = 0; phase_y < a->phases_y; phase_y++) {
        const span rows = inside(a->rows, a->stride_y, phase_y, a->pad_top, a->in_y);
        float *phases = a->packed + phase_y * a->phases_x * a->phase_floats;
        fill_rows(a, 0, rows.first, phases);
        for (size_t row = rows.first; row < rows.end; row++)
            pack_row_in_phases(a, a->x + (row * a->stride_y + phase_y - a->pad_top) * a->in_x,
                               phases + row * a->columns);
        fill_rows(a, rows.end, a->rows, phases);
    }
}

/* The vector layer has no loads that part interleaved channels; with three channels at once, compilers do. */
#define SPLIT_CHANNELS(element)                                                                                        \
    static void split_channels_##element(const element *x, size_t count, size_t channels, float *row,                  \
                                         size_t row_floats)                                                            \
    {                                                                                                                  \
        if (channels == 3) {                                                                                           \
            for (size_t i = 0; i < count; i++) {                                                                       \
                row[i] = (float)x[3 * i];                                                                              \
                row[row_floats + i] = (float)x[3 * i + 1];                                                             \
                row[2 * row_floats + i] = (float)x[3 * i + 2];                                                         \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        for (size_t c = 0; c < channels; c++)                                                                          \
            for (size_t i = 0; i < count; i++) row[c * row_floats + i] = (float)x[i * channels + c];                   \
    }

SPLIT_CHANNELS(uint8_t)
SPLIT_CHANNELS(float)

/* Row y of the image, parted by channels and normalised, into the scratch row. */
static void read_pixels(const goss_pack_pixels_f32_args *p, size_t y)
{
    const size_t columns = p->pack.in_x, first = y * p->x_stride;
    if (p->element_bytes == 1)
        split_channels_uint8_t((const uint8_t *)p->x + first, columns, p->channels, p->row, p->row_floats);
    else
        split_channels_float((const float *)p->x + first, columns, p->channels, p->row, p->row_floats);
    for (size_t c = 0; c < p->channels; c++) {
        const vf32 mean = vf32_splat(p->mean[c]), scale = vf32_splat(p->scale[c]);
        float *row = p->row + c * p->row_floats;
        for (size_t i = 0; i < columns; i += VF32_LANES)
            vf32_store(row + i, vf32_mul(vf32_sub(vf32_load(row + i), mean), scale));
    }
}

void GOSS_KERNEL(pack_pixels_f32)(const goss_pack_pixels_f32_args *p)
{
    const goss_pack_f32_args *a = &p->pack;
    const span rows = inside(a->rows, a->stride_y, p->phase_y, a->pad_top, a->in_y);
    float *phases = a->packed + p->phase_y * a->phases_x * a->phase_floats;
    for (size_t c = 0; c < p->channels; c++) fill_rows(a, 0, rows.first, phases + c * p->plane_floats);
    for (size_t row = rows.first; row < rows.end; row++) {
        read_pixels(p, row * a->stride_y + p->phase_y - a->pad_top);
        for (size_t c = 0; c < p->channels; c++)
            pack_row_in_phases(a, p->row + c * p->row_floats, phases + c * p->plane_floats + row * a->columns);
    }
    for (size_t c = 0; c < p->channels; c++) fill_rows(a, rows.end, a->rows, phases + c * p->plane_floats);
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
