/* The table that every instruction set fills, and the contracts of its kernels.
 *
 * A kernel is a pure function of its arguments: it allocates nothing, keeps nothing, cannot fail.
 *
 * Memory. Images are channel planes [C][stride]: H * W pixels in rows without gaps, padded to `stride`, a
 * multiple of the vector. Flat tensors are [N][C] without gaps. Tensors, scratch and weights are 64-byte aligned and
 * followed by at least 64 readable bytes; a kernel that needs more of a tensor says so. Padding holds garbage: kernels
 * may compute on it and write it, and no result may depend on it.
 *
 * Quantized tensors have planes of quads: 4 channels, whose bytes lie together in the place of one f32. What only moves
 * f32 moves quads as well. Kernels of i8 give the same bits on every instruction set: FORMAT.md section 9. */
#ifndef GOSS_KERNELS_H
#define GOSS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Sparse matrix x planes: pointwise convolution, and any other convolution over packed planes.
 * y[row][p] = clamp(bias[row] + sum over blocks of weight * x[plane_offset + p] + residual[row][p]). */
typedef struct goss_pointwise_f32_args {
    const float *x;               /* base address of the input planes */
    const float *weights;         /* block after block, BLOCK_ROWS values each */
    const float *bias;            /* [block_rows * BLOCK_ROWS] */
    const uint32_t *plane_offset; /* per block: byte offset of its input plane from x, a multiple of 4 */
    const uint32_t *block_count;  /* [block_rows]; NULL = dense: every row has the same `columns` blocks, and
                                   * plane_offset [columns] is read once a row */
    size_t columns;               /* dense only */
    const float *residual;        /* laid out like y, may be y itself; NULL: nothing is added */
    float *y;                     /* [block_rows * BLOCK_ROWS][y_stride] */
    size_t y_stride;              /* floats, >= pixels */
    size_t pixels;                /* a multiple of the vector, > 0 */
    size_t block_rows;
    float min, max;
} goss_pointwise_f32_args;

typedef void goss_matrix_kernel(const goss_pointwise_f32_args *);

/* A plane rearranged so that a convolution with any stride, dilation and padding reads, for each kernel position, a run
 * of pixels. The plane, with zeros around it, is split by the remainders of its coordinates modulo the stride into
 * phases: padded pixel (r * stride_y + i, c * stride_x + j) lies in phase i * phases_x + j at r * columns + c. Around a
 * plane of quads lie quads. */
typedef struct goss_pack_f32_args {
    const float *x; /* [in_y][in_x] */
    float *packed;  /* [phases_y * phases_x][phase_floats] */
    size_t in_y, in_x, rows, columns;
    size_t phase_floats; /* at least rows * columns + 16: what lies between may be written */
    size_t stride_y, stride_x, pad_top, pad_left, phases_y, phases_x;
    float outside; /* what lies around the plane: 0, or a quad */
} goss_pack_f32_args;

/* The same for every channel of an image of interleaved pixels at once, for one of the vertical phases, with
 * (x - mean) * scale of each channel in place of x. */
typedef struct goss_pack_pixels_f32_args {
    goss_pack_f32_args pack; /* x is not read; packed: of channel 0 */
    size_t phase_y;
    const void *x;        /* [in_y][x_stride]: in_x pixels of `channels` elements */
    size_t element_bytes; /* 1: u8, 4: f32 */
    size_t x_stride;      /* elements */
    size_t channels;
    size_t plane_floats;       /* from one channel's packed plane to the next */
    const float *mean, *scale; /* [channels] */
    float *row;                /* scratch, [channels][row_floats], and 16 floats behind */
    size_t row_floats;         /* a multiple of the vector, at least in_x */
} goss_pack_pixels_f32_args;

/* y[r][c] = x[r][c] for c < y_columns, the columns that y has. */
typedef struct goss_unpack_f32_args {
    const float *x; /* [rows][x_columns] */
    float *y;       /* [rows][y_columns] */
    size_t rows, x_columns, y_columns;
} goss_unpack_f32_args;

/* One channel of a depthwise convolution over its packed plane.
 * y[r][c] = clamp(bias + sum over taps of weights[tap] * x[tap_offset[tap] + r * x_columns + c]). */
typedef struct goss_depthwise_f32_args {
    const float *x;             /* one channel as packed; its rows have x_columns */
    const float *weights;       /* [taps] */
    const uint32_t *tap_offset; /* [taps] byte offset from x */
    float *y;                   /* [rows][y_columns] */
    size_t rows, x_columns, y_columns, taps;
    float bias, min, max;
} goss_depthwise_f32_args;

enum {
    GOSS_READABLE_BEFORE = 64, /* bytes before and behind a tensor, at most, that kernels read */
    GOSS_READABLE_BEHIND = 192,
    GOSS_INSIDE_ROOM = 48,
};

/* One channel of a depthwise convolution with a 3x3 or 5x5 kernel and stride 1 or 2, over the plane as it lies:
 * y[r][c] = clamp(bias + sum over i, j of weights[i][j] * x[r * stride + i - pad_top][c * stride + j - pad_left]),
 * where x is 0 outside the plane. */
typedef struct goss_depthwise_square_f32_args {
    const float *x;       /* [in_y][in_x], readable GOSS_READABLE_BEFORE and GOSS_READABLE_BEHIND */
    const float *inside;  /* words, one a column of the padded row: all bits set where x has a column, else none;
                           * [stride * out_x + GOSS_INSIDE_ROOM] */
    const float *weights; /* [kernel][kernel] */
    float *y;             /* [out_y][out_x] */
    size_t y_floats;      /* from y on, that may be written; at least out_y * out_x */
    size_t in_y, in_x, out_y, out_x;
    size_t kernel, stride;    /* 3 or 5, 1 or 2 */
    size_t pad_top, pad_left; /* below kernel */
    float bias, min, max;
} goss_depthwise_square_f32_args;

/* y[c * y_stride] = mean of x[c][0 .. pixels). */
typedef struct goss_global_average_pool_f32_args {
    const float *x; /* [channels][x_stride] */
    float *y;
    size_t channels, pixels, x_stride, y_stride;
} goss_global_average_pool_f32_args;

enum { GOSS_POOL_ROOM = 48 }; /* floats */

/* One channel under windows that slide over it: the largest value, or the sum times share_y[row] * share_x[column].
 * Window (r, c) has pixels (r * stride_y + i * dilation_y - pad_top, c * stride_x + j * dilation_x - pad_left) for
 * i < kernel_y, j < kernel_x; those outside of the plane do not count. A largest value of none is -FLT_MAX. */
typedef struct goss_pool_f32_args {
    const float *x;  /* [in_y][in_x] */
    float *y;        /* [out_y][out_x] */
    size_t y_floats; /* from y on, that may be written; at least out_y * out_x */
    float *row;      /* scratch */
    /* Of it: a multiple of the vector, at least GOSS_POOL_ROOM more than the larger of pad_left + in_x and
     * (out_x - 1) * stride_x + (kernel_x - 1) * dilation_x. */
    size_t row_floats;
    size_t in_y, in_x, out_y, out_x;
    size_t kernel_y, kernel_x, stride_y, stride_x, dilation_y, dilation_x, pad_top, pad_left;
    const float *share_y; /* [out_y]; the average only */
    const float *share_x; /* [out_x], readable up to the next multiple of the vector; the average only */
} goss_pool_f32_args;

/* y[i] = clamp(a[i] + b[i]); y may be a or b. */
typedef struct goss_add_f32_args {
    const float *a, *b; /* [count] */
    float *y;           /* [count] */
    size_t count;       /* a multiple of the vector, > 0 */
    float min, max;
} goss_add_f32_args;

/* y[i] = clamp(x[i]); y may be x. */
typedef struct goss_clamp_f32_args {
    const float *x; /* [count] */
    float *y;       /* [count] */
    size_t count;   /* a multiple of the vector, > 0 */
    float min, max;
} goss_clamp_f32_args;

/* y[i] = a[i] * b[i]; y may be a or b. */
typedef struct goss_multiply_f32_args {
    const float *a, *b; /* [count] */
    float *y;           /* [count] */
    size_t count;       /* a multiple of the vector, > 0 */
} goss_multiply_f32_args;

/* y[i] = factor * x[i]; y may be x. */
typedef struct goss_scale_f32_args {
    const float *x; /* [count] */
    float *y;       /* [count] */
    size_t count;   /* a multiple of the vector, > 0 */
    float factor;
} goss_scale_f32_args;

/* y[r][i] = f(x[r][i]), of the function that the kernel is named after; y may be x. */
typedef struct goss_activation_f32_args {
    const float *x; /* [rows][stride] */
    float *y;       /* [rows][stride] */
    size_t rows, stride;
    size_t count; /* of each row; a multiple of the vector, > 0 */
} goss_activation_f32_args;

/* y[i] = x[i] where x[i] is positive, else slope * x[i]; y may be x. */
typedef struct goss_leaky_relu_f32_args {
    const float *x; /* [count] */
    float *y;       /* [count] */
    size_t count;   /* a multiple of the vector, > 0 */
    float slope;
} goss_leaky_relu_f32_args;

typedef void goss_activation_kernel(const goss_activation_f32_args *);

/* y = exp(x - max(x)) / sum; writes the padding up to the vector too. y may be x. */
typedef struct goss_softmax_f32_args {
    const float *x; /* [count], readable up to the next multiple of the vector */
    float *y;       /* [count], writable up to the next multiple of the vector */
    size_t count;   /* > 0 */
} goss_softmax_f32_args;

/* ---- i8 ---------------------------------------------------------------------------------------------------- */

/* How a result v becomes a number from 0 to 127: zero_point + round(min(max(v, low), high)). */
typedef struct goss_target_i8 {
    float low, high;
    int32_t zero_point;
} goss_target_i8;

/* Sparse matrix x planes of quads: blocks of 4 or 1 rows x 4 channels.
 * v = f32(start[row] + sum over blocks of weights * x) * multiplier[row] + bias[row], and
 * + f32(residual - residual_zero_point) * residual_multiplier. */
typedef struct goss_matrix_i8_args {
    const uint8_t *x;             /* base address of the input planes */
    const int8_t *weights;        /* block after block, BLOCK_ROWS x 4 */
    const uint32_t *plane_offset; /* as of goss_pointwise_f32_args; block_count [rows / BLOCK_ROWS] */
    const uint32_t *block_count;
    size_t columns;
    size_t rows; /* a multiple of 4 */
    const int32_t *start;
    const float *multiplier, *bias; /* [rows] each */
    const uint8_t *residual;        /* laid out like y, may be y itself; NULL: nothing is added */
    float residual_multiplier;
    int32_t residual_zero_point;
    uint8_t *y;      /* [rows / 4][y_stride] quads */
    float *y_f32;    /* fully connected only: receives v between low and high, in place of y; or NULL */
    size_t f32_rows; /* of y_f32; the others are padding */
    size_t y_stride; /* quads, >= pixels */
    size_t pixels;   /* a multiple of the vector, > 0 */
    goss_target_i8 target;
} goss_matrix_i8_args;

typedef void goss_matrix_i8_kernel(const goss_matrix_i8_args *);

enum { GOSS_BLOCK_I8_SIZES = 2 }; /* 1x4, 4x4 */

/* One quad of channels of a depthwise convolution over its packed plane, or of an average over windows; a channel's v
 * as above, its sum over taps of weight * x[tap_offset[tap] + r * x_columns + c]. */
typedef struct goss_depthwise_i8_args {
    const uint8_t *x;           /* one quad as packed; its rows have x_columns */
    const int8_t *weights;      /* [groups][4 channels][4 taps] */
    const uint32_t *tap_offset; /* [4 * groups] byte offset from x */
    const int32_t *start;
    const float *multiplier, *bias; /* [4] each */
    uint8_t *y;                     /* [rows][y_columns] quads */
    size_t rows, x_columns, y_columns, groups;
    goss_target_i8 target;
} goss_depthwise_i8_args;

/* The largest of the taps, like goss_depthwise_i8_args. */
typedef struct goss_max_pool_i8_args {
    const uint8_t *x;
    const uint32_t *tap_offset; /* [taps] */
    uint8_t *y;
    size_t rows, x_columns, y_columns, taps;
} goss_max_pool_i8_args;

/* One quad: v = f32(sum of x[0 .. pixels) - pixels * zero_point) * multiplier of each channel; pixels < 2^24. */
typedef struct goss_global_average_pool_i8_args {
    const uint8_t *x;
    uint8_t *y;
    size_t pixels;
    int32_t zero_point;
    float multiplier;
    goss_target_i8 target;
} goss_global_average_pool_i8_args;

/* v = f32(a - a_zero_point) * a_multiplier + f32(b - b_zero_point) * b_multiplier, quad by quad; y may be a or b. */
typedef struct goss_add_i8_args {
    const uint8_t *a, *b; /* [count] quads */
    uint8_t *y;
    size_t count; /* a multiple of the vector, > 0 */
    int32_t a_zero_point, b_zero_point;
    float a_multiplier, b_multiplier;
    goss_target_i8 target;
} goss_add_i8_args;

/* v = f32((a - a_zero_point) * (b - b_zero_point)) * multiplier, quad by quad; y may be a or b. */
typedef struct goss_multiply_i8_args {
    const uint8_t *a, *b; /* [count] quads; scale_i8: of b one, for all */
    uint8_t *y;
    size_t count; /* a multiple of the vector, > 0 */
    int32_t a_zero_point, b_zero_point;
    float multiplier;
    goss_target_i8 target;
} goss_multiply_i8_args;

/* y[i] = table[x[i]] of each byte of the quads; y may be x. */
typedef struct goss_lookup_i8_args {
    const uint8_t *x; /* [count] quads */
    uint8_t *y;
    size_t count;         /* a multiple of the vector, > 0 */
    const uint8_t *table; /* [128] */
} goss_lookup_i8_args;

/* One quad from its channels' planes: v = x * multiplier. */
typedef struct goss_quantize_i8_args {
    const float *x[4]; /* [count] each */
    uint8_t *y;        /* [count] quads */
    size_t count;      /* a multiple of the vector, > 0 */
    float multiplier;
    goss_target_i8 target;
} goss_quantize_i8_args;

/* The planes of the first `channels` of a quad: y = f32(x - zero_point) * scale. */
typedef struct goss_dequantize_i8_args {
    const uint8_t *x; /* [count] quads */
    float *y;         /* [channels][y_stride] */
    size_t channels, y_stride;
    size_t count; /* a multiple of the vector, > 0 */
    int32_t zero_point;
    float scale;
} goss_dequantize_i8_args;

enum { GOSS_BLOCK_ROW_SIZES = 4 }; /* 1, 2, 4, 8: index = log2 */

/* What one instruction set can do. Every entry is set: there is no fallback inside a table. */
typedef struct goss_kernels {
    const char *isa;
    size_t pointwise_tile[GOSS_BLOCK_ROW_SIZES]; /* pixels that a pointwise kernel takes at a time */
    size_t pointwise_i8_tile[GOSS_BLOCK_I8_SIZES];
    size_t lanes; /* f32 in a vector; planes are padded to a multiple of it */

    goss_matrix_kernel *pointwise_f32[GOSS_BLOCK_ROW_SIZES];
    /* Matrix x vector: planes of one number each. Reads neither residual, y_stride nor pixels. */
    goss_matrix_kernel *fully_connected_f32[GOSS_BLOCK_ROW_SIZES];
    void (*pack_f32)(const goss_pack_f32_args *);
    void (*pack_pixels_f32)(const goss_pack_pixels_f32_args *);
    void (*unpack_f32)(const goss_unpack_f32_args *);
    void (*depthwise_f32)(const goss_depthwise_f32_args *);
    void (*depthwise_square_f32)(const goss_depthwise_square_f32_args *);
    void (*global_average_pool_f32)(const goss_global_average_pool_f32_args *);
    void (*max_pool_f32)(const goss_pool_f32_args *);
    void (*average_pool_f32)(const goss_pool_f32_args *);
    void (*add_f32)(const goss_add_f32_args *);
    void (*clamp_f32)(const goss_clamp_f32_args *);
    void (*multiply_f32)(const goss_multiply_f32_args *);
    void (*scale_f32)(const goss_scale_f32_args *);
    /* As FORMAT.md section 8, operator 8, says. */
    goss_activation_kernel *sigmoid_f32, *silu_f32, *hard_swish_f32, *tanh_f32, *elu_f32, *softplus_f32, *mish_f32,
        *erf_f32, *gelu_f32, *gelu_tanh_f32;
    void (*leaky_relu_f32)(const goss_leaky_relu_f32_args *);
    void (*softmax_f32)(const goss_softmax_f32_args *);

    goss_matrix_i8_kernel *pointwise_i8[GOSS_BLOCK_I8_SIZES];
    /* Reads neither residual, y_stride nor pixels. */
    goss_matrix_i8_kernel *fully_connected_i8[GOSS_BLOCK_I8_SIZES];
    void (*depthwise_i8)(const goss_depthwise_i8_args *);
    void (*max_pool_i8)(const goss_max_pool_i8_args *);
    void (*global_average_pool_i8)(const goss_global_average_pool_i8_args *);
    void (*add_i8)(const goss_add_i8_args *);
    void (*multiply_i8)(const goss_multiply_i8_args *);
    void (*scale_i8)(const goss_multiply_i8_args *);
    void (*lookup_i8)(const goss_lookup_i8_args *);
    void (*quantize_i8)(const goss_quantize_i8_args *);
    void (*dequantize_i8)(const goss_dequantize_i8_args *);

    /* Nonzero when all of x[0 .. count) is finite. Any count, any alignment of 4. */
    int (*all_finite_f32)(const float *x, size_t count);

    /* Multiply-adds in registers, as many a second as this machine can: does some in each of `rounds` rounds, returns
     * how many, and writes a number that depends on all of them. */
    size_t (*multiply_adds_f32)(size_t rounds, float *sink);
} goss_kernels;

/* The tables that this machine can run, best first, ended by NULL. One select.c is linked: the platform's. */
const goss_kernels *const *goss_kernels_available(void);

#endif
