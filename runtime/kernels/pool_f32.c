/* Largest value and average of windows over one plane, f32.
 *
 * A window is a rectangle, so its rows go first: the input rows of an output row become one row, column by column, in
 * scratch, with what lies left and right of the plane around it. Then the columns of each window become one number:
 * shifted vectors of that row, at stride 2 the even and the odd elements of two. Rows are written in whole vectors,
 * from first to last; what runs over the end of a row is overwritten by the next one. */
#include <float.h>
#include <stdbool.h>

#include "kernels.h"
#include "vector.h"

_Static_assert(3 * VF32_LANES <= GOSS_POOL_ROOM, "what is written and read behind a row");

__attribute__((always_inline)) static inline vf32 join(vf32 a, vf32 b, bool largest)
{
    return largest ? vf32_max(a, b) : vf32_add(a, b);
}

/* The rows first to end of the plane, dilation_y apart, as one: what the windows of an output row share. */
__attribute__((always_inline)) static inline void join_rows(const goss_pool_f32_args *a, const float *x, size_t rows,
                                                            vf32 fill, bool largest)
{
    float *row = a->row + a->pad_left;
    const size_t step = a->dilation_y * a->in_x;
    for (size_t i = 0; i < a->in_x; i += VF32_LANES) {
        vf32 joined = rows > 0 ? vf32_load(x + i) : fill;
        for (size_t r = 1; r < rows; r++) joined = join(joined, vf32_load(x + r * step + i), largest);
        vf32_store(row + i, joined);
    }
    vf32_store(row + a->in_x, fill); /* over what the last vector brought from behind the row */
}

/* Windows that begin at `row`, `stride` apart. */
__attribute__((always_inline)) static inline vf32 join_columns(const goss_pool_f32_args *a, const float *row,
                                                               size_t stride, bool largest)
{
    vf32 joined = vf32_splat(0);
    for (size_t k = 0; k < a->kernel_x; k++) {
        const float *from = row + k * a->dilation_x;
        vf32 columns = vf32_load(from);
        if (stride == 2) columns = vf32_even(columns, vf32_load(from + VF32_LANES));
        joined = k == 0 ? columns : join(joined, columns, largest);
    }
    return joined;
}

/* The same at any stride. */
__attribute__((always_inline)) static inline vf32 join_few_columns(const goss_pool_f32_args *a, const float *row,
                                                                   size_t count, bool largest)
{
    float joined[VF32_LANES];
    vf32_store(joined, vf32_splat(0));
    for (size_t i = 0; i < count; i++) {
        const float *from = row + i * a->stride_x;
        float one = from[0];
        for (size_t k = 1; k < a->kernel_x; k++) {
            const float other = from[k * a->dilation_x];
            one = largest ? (other > one ? other : one) : one + other;
        }
        joined[i] = one;
    }
    return vf32_load(joined);
}

/* Only what belongs to the plane. */
static void store_up_to(float *y, const float *end, vf32 v)
{
    float values[VF32_LANES];
    if (y + VF32_LANES <= end) {
        vf32_store(y, v);
        return;
    }
    vf32_store(values, v);
    for (int lane = 0; lane < VF32_LANES && y + lane < end; lane++) y[lane] = values[lane];
}

__attribute__((always_inline)) static inline void pool_row(const goss_pool_f32_args *a, size_t out_row, float *y,
                                                           size_t stride, bool largest)
{
    for (size_t column = 0; column < a->out_x; column += VF32_LANES) {
        const size_t left = a->out_x - column;
        const float *row = a->row + column * a->stride_x;
        vf32 v = stride ? join_columns(a, row, stride, largest)
                        : join_few_columns(a, row, left < VF32_LANES ? left : VF32_LANES, largest);
        if (!largest) v = vf32_mul(v, vf32_mul(vf32_splat(a->share_y[out_row]), vf32_load(a->share_x + column)));
        store_up_to(y + column, a->y + a->y_floats, v);
    }
}

__attribute__((always_inline)) static inline void pool(const goss_pool_f32_args *a, float outside, bool largest)
{
    const vf32 fill = vf32_splat(outside);
    for (size_t i = 0; i < a->row_floats; i += VF32_LANES) vf32_store(a->row + i, fill);
    for (size_t out_row = 0; out_row < a->out_y; out_row++) {
        /* Window row k lies at begin + k * dilation in the padded plane. */
        const size_t begin = out_row * a->stride_y, bottom = a->pad_top + a->in_y;
        const size_t above = begin < a->pad_top ? a->pad_top - begin : 0, below = begin < bottom ? bottom - begin : 0;
        size_t first = (above + a->dilation_y - 1) / a->dilation_y, end = (below + a->dilation_y - 1) / a->dilation_y;
        if (end > a->kernel_y) end = a->kernel_y;
        if (first > end) first = end;
        const size_t top = first < end ? begin + first * a->dilation_y - a->pad_top : 0;
        join_rows(a, a->x + top * a->in_x, end - first, fill, largest);
        float *y = a->y + out_row * a->out_x;
        if (a->stride_x == 1)
            pool_row(a, out_row, y, 1, largest);
        else if (a->stride_x == 2)
            pool_row(a, out_row, y, 2, largest);
        else
            pool_row(a, out_row, y, 0, largest);
    }
}

void GOSS_KERNEL(max_pool_f32)(const goss_pool_f32_args *a) { pool(a, -FLT_MAX, true); }
void GOSS_KERNEL(average_pool_f32)(const goss_pool_f32_args *a) { pool(a, 0, false); }
