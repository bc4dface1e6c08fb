/* A weight matrix in block storage (FORMAT.md section 9), as operators see it. Pointers lead into the model file. */
#ifndef GOSS_WEIGHTS_H
#define GOSS_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct goss_weights {
    size_t rows, columns;
    uint32_t block_rows; /* 1, 2, 4 or 8; the last rows % block_rows rows are stored one by one */
    bool sparse;
    size_t blocks;          /* stored, remaining rows included; dense: all of them */
    size_t elements;        /* stored values */
    size_t bytes;           /* in the file */
    const float *values;    /* block after block */
    const uint32_t *counts; /* sparse: blocks of each block row, then of each remaining row */
    const void *indices;    /* sparse: [blocks] u16, or u32 when columns > 65536 */
} goss_weights;

/* The column of a stored block. */
static inline uint32_t goss_weights_column(const goss_weights *weights, size_t block)
{
    return weights->columns <= 65536 ? ((const uint16_t *)weights->indices)[block]
                                     : ((const uint32_t *)weights->indices)[block];
}

#endif
