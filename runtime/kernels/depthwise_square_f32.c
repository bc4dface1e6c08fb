/* Depthwise convolution of one plane with a 3x3 or 5x5 kernel and stride 1 or 2, f32, where the plane lies.
 *
 * Down a strip of columns, one or two vectors wide: every input row is loaded once and adds to all the output rows
 * whose kernels lie over it, whose sums wait in registers. Strips go from right to left, so that what one writes beyond
 * the end of a row is written again by the first strip of the next row. What lies left and right of the plane is
 * cleared by masks, in the strips that reach there; rows above and below are left out. */
#include <stdbool.h>

#include "kernels.h"
#include "vector.h"

enum {
    LARGEST = 5,
    WIDEST = VF32_LANES == 4 ? 2 : 1, /* wide vectors hold many rows whole */
};

_Static_assert((WIDEST * 2 * VF32_LANES + LARGEST) * sizeof(float) <= GOSS_READABLE_BEHIND, "what a strip reads");
_Static_assert(WIDEST * 2 * VF32_LANES + LARGEST <= GOSS_INSIDE_ROOM, "what a strip reads of the words");

/* What each kernel column reads for a vector of neighbouring outputs. */
__attribute__((always_inline)) static inline void load_columns(const float *row, int kernel, int stride, vf32 *columns)
{
    for (int k = 0; k < kernel; k += stride) {
        const vf32 first = vf32_load(row + k);
        if (stride == 1) {
            columns[k] = first;
            continue;
        }
        const vf32 second = vf32_load(row + k + VF32_LANES);
        columns[k] = vf32_even(first, second);
        if (k + 1 < kernel) columns[k + 1] = vf32_odd(first, second);
    }
}

/* One strip on its way down. */
typedef struct strip {
    const float *inside; /* the words of what the first kernel column reads */
    vf32 weights[LARGEST * LARGEST];
    vf32 sum[LARGEST][WIDEST]; /* of the output rows that the next input row adds to, from above */
    vf32 bias;
} strip;

__attribute__((always_inline)) static inline void add_row(strip *s, const float *row, int i, int kernel, int stride,
                                                          int vectors, bool edge)
{
    const int live = (kernel + stride - 1) / stride;
    for (int v = 0; v < vectors; v++) {
        const int offset = v * stride * VF32_LANES;
        vf32 in[LARGEST], inside[LARGEST];
        load_columns(row + offset, kernel, stride, in);
        if (edge) load_columns(s->inside + offset, kernel, stride, inside);
        for (int k = 0; k < kernel; k++) {
            if (edge) in[k] = vf32_and(in[k], inside[k]);
            for (int j = 0; j < live; j++) {
                const int kernel_row = i + stride * (live - 1 - j);
                if (kernel_row < kernel)
                    s->sum[j][v] = vf32_madd(s->sum[j][v], in[k], s->weights[kernel_row * kernel + k]);
            }
        }
    }
}

/* The uppermost sums are complete. */
__attribute__((always_inline)) static inline void shift_sums(strip *s, int live, int vectors)
{
    for (int v = 0; v < vectors; v++) {
        for (int j = 0; j + 1 < live; j++) s->sum[j][v] = s->sum[j + 1][v];
        s->sum[live - 1][v] = s->bias;
    }
}

/* The last outputs of a plane: only what belongs to it. */
static void store_up_to(float *y, const float *end, vf32 v)
{
    float values[VF32_LANES];
    vf32_store(values, v);
    for (int lane = 0; lane < VF32_LANES && y + lane < end; lane++) y[lane] = values[lane];
}

__attribute__((always_inline)) static inline void add_rows(strip *s, const float *row, size_t in_x, int kernel,
                                                           int stride, int vectors, bool edge)
{
    for (int i = 0; i < stride; i++) add_row(s, row + (size_t)i * in_x, i, kernel, stride, vectors, edge);
}

/* A step takes in `stride` rows, after which one output row is complete. The steps that find all of their rows inside
 * the plane, have a row to store and room behind it, run without asking: `plain` of them from `first_plain` on. */
__attribute__((always_inline)) static inline void run_strip(const goss_depthwise_square_f32_args *a, size_t column,
                                                            int kernel, int stride, int vectors, bool edge)
{
    enum { STEP = VF32_LANES };
    const int live = (kernel + stride - 1) / stride;
    const size_t rows = (size_t)stride, warm_up = (size_t)live - 1, steps = a->out_y + warm_up;
    const size_t in_x = a->in_x, out_x = a->out_x;
    const float *const x = a->x + column * rows - a->pad_left, *const end = a->y + a->y_floats;
    float *y = a->y + column;

    strip s = {.inside = a->inside + column * rows, .bias = vf32_splat(a->bias)};
    const vf32 min = vf32_splat(a->min), max = vf32_splat(a->max);
    for (int k = 0; k < kernel * kernel; k++) s.weights[k] = vf32_splat(a->weights[k]);
    for (int j = 0; j < live; j++)
        for (int v = 0; v < vectors; v++) s.sum[j][v] = s.bias;

    size_t first_plain = (a->pad_top + rows - 1) / rows, plain_end = (a->in_y + a->pad_top) / rows;
    if (first_plain < warm_up) first_plain = warm_up;
    if (plain_end > steps) plain_end = steps;
    while (plain_end > first_plain && (plain_end - 1 - warm_up) * out_x + column + (size_t)vectors * STEP > a->y_floats)
        plain_end--;
    size_t plain = plain_end > first_plain ? plain_end - first_plain : 0;

    for (size_t step = 0; step < steps; step++) {
        if (step == first_plain && plain > 0) {
            step += plain;
            for (const float *row = x + (first_plain * rows - a->pad_top) * in_x; plain > 0; plain--) {
                add_rows(&s, row, in_x, kernel, stride, vectors, edge);
                for (int v = 0; v < vectors; v++) vf32_store(y + v * STEP, vf32_clamp(s.sum[0][v], min, max));
                shift_sums(&s, live, vectors);
                row += rows * in_x;
                y += out_x;
            }
            if (step == steps) break;
        }
        for (int i = 0; i < stride; i++) {
            const size_t row = step * rows + (size_t)i - a->pad_top; /* above the plane: huge */
            if (row < a->in_y) add_row(&s, x + row * in_x, i, kernel, stride, vectors, edge);
        }
        if (step >= warm_up) {
            for (int v = 0; v < vectors; v++) store_up_to(y + v * STEP, end, vf32_clamp(s.sum[0][v], min, max));
            y += out_x;
        }
        shift_sums(&s, live, vectors);
    }
}

__attribute__((always_inline)) static inline void strips(const goss_depthwise_square_f32_args *a, int kernel,
                                                         int stride, int vectors)
{
    const size_t width = (size_t)vectors * VF32_LANES, reach = (width - 1) * (size_t)stride + (size_t)kernel;
    for (size_t column = (a->out_x - 1) / width * width;; column -= width) {
        const size_t first = column * (size_t)stride; /* in the padded row */
        if (first >= a->pad_left && first + reach <= a->pad_left + a->in_x)
            run_strip(a, column, kernel, stride, vectors, false);
        else
            run_strip(a, column, kernel, stride, vectors, true);
        if (column == 0) break;
    }
}

void GOSS_KERNEL(depthwise_square_f32)(const goss_depthwise_square_f32_args *a)
{
    if (a->kernel == 3 && a->stride == 1) strips(a, 3, 1, 1);
    if (a->kernel == 3 && a->stride == 2) strips(a, 3, 2, 1);
    if (a->kernel == 5 && a->stride == 1) strips(a, 5, 1, WIDEST);
    if (a->kernel == 5 && a->stride == 2) strips(a, 5, 2, WIDEST);
}
