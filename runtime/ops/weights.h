/* A weight matrix in block storage (FORMAT.md sections 10 and 11), as operators see it. Pointers lead into the model
 * file, or to what loading expanded. */
#ifndef GOSS_WEIGHTS_H
#define GOSS_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GOSS_QUAD = 4, /* channels of a quantized tensor that lie together */
    GOSS_U7_MAX = 127,
    GOSS_I8_MAX = 127,
};

typedef struct goss_weights {
    size_t rows, columns; /* i8: of quads of input channels */
    /* 1, 2, 4 or 8; the last rows % block_rows rows are stored one by one. i8: 1 or 4, and rows are padded. */
    uint32_t block_rows;
    bool sparse, i8;
    bool depthwise;         /* i8 only; f32 depthwise weights are dense */
    bool infinite;          /* f32: holds -inf or +inf */
    size_t padded_rows;     /* i8: to whole quads */
    size_t all;             /* elements, zeros included, padding not */
    size_t blocks;          /* stored, remaining rows included; dense: all of them */
    size_t elements;        /* stored values, without padding */
    size_t bytes;           /* in the file, and of what was expanded */
    const float *values;    /* f32: block after block */
    void *expanded;         /* what loading made of f16 or of runs; the model's to free */
    const float *row_scale; /* i8: [rows] */
    const int8_t *quads;    /* i8: block after block, block_rows x 4 each; depthwise: [columns][padded_rows] */
    const uint32_t *counts; /* sparse: blocks of each block row, then of each remaining row */
    const void *indices;    /* sparse: [blocks], of goss_column_bytes each */
} goss_weights;

/* What kernels' names say of the storage: "f32_4x1", "i8_4x4" and the like. */
static inline const char *goss_weights_pattern(const goss_weights *weights)
{
    static const char *const f32[] = {"f32_1x1", "f32_2x1", "f32_4x1", "f32_8x1"};
    if (weights->i8) return weights->block_rows == 1 ? "i8_1x4" : "i8_4x4";
    return f32[weights->block_rows / 2 - weights->block_rows / 8];
}

/* Bytes of a block's column, in rows of so many columns. */
static inline size_t goss_column_bytes(size_t columns) { return columns <= 65536 ? 2 : 4; }

/* The column of a stored block. */
static inline uint32_t goss_weights_column(const goss_weights *weights, size_t block)
{
    return goss_column_bytes(weights->columns) == 2 ? ((const uint16_t *)weights->indices)[block]
                                                    : ((const uint32_t *)weights->indices)[block];
}

#endif
