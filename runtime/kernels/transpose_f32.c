/* Rows that become columns, f32. A square of as many rows as a vector has lanes turns in registers: parting the even
 * lanes of neighbours from the odd ones, as often as lanes have bits, leaves the columns, in the order of their
 * reversed bits. */
#include "kernels.h"
#include "vector.h"

enum { LANES = VF32_LANES, BITS = VF32_LANES == 4 ? 2 : VF32_LANES == 8 ? 3 : 4 };

static inline int reversed(int number)
{
    int result = 0;
    for (int bit = 0; bit < BITS; bit++) result |= (number >> bit & 1) << (BITS - 1 - bit);
    return result;
}

static inline void turn_square(const float *x, size_t x_stride, float *y, size_t y_stride)
{
    vf32 now[LANES], next[LANES];
    for (int r = 0; r < LANES; r++) now[r] = vf32_load(x + (size_t)r * x_stride);
    for (int size = LANES; size > 1; size /= 2) { /* groups of so many vectors */
        for (int group = 0; group < LANES; group += size)
            for (int i = 0; i < size / 2; i++) {
                next[group + i] = vf32_even(now[group + 2 * i], now[group + 2 * i + 1]);
                next[group + size / 2 + i] = vf32_odd(now[group + 2 * i], now[group + 2 * i + 1]);
            }
        for (int i = 0; i < LANES; i++) now[i] = next[i];
    }
    for (int c = 0; c < LANES; c++) vf32_store(y + (size_t)reversed(c) * y_stride, now[c]);
}

void GOSS_KERNEL(transpose_f32)(const goss_transpose_f32_args *a)
{
    const size_t rows = a->rows - a->rows % LANES, columns = a->columns - a->columns % LANES;
    for (size_t r = 0; r < rows; r += LANES) {
        const float *x = a->x + r * a->x_stride;
        for (size_t c = 0; c < columns; c += LANES)
            turn_square(x + c, a->x_stride, a->y + c * a->y_stride + r, a->y_stride);
        for (size_t c = columns; c < a->columns; c++)
            for (size_t i = 0; i < LANES; i++) a->y[c * a->y_stride + r + i] = x[i * a->x_stride + c];
    }
    for (size_t r = rows; r < a->rows; r++)
        for (size_t c = 0; c < a->columns; c++) a->y[c * a->y_stride + r] = a->x[r * a->x_stride + c];
}
