/* What the files that read a model file share: its sections, and numbers at any address. */
#ifndef GOSS_READER_H
#define GOSS_READER_H

#include <stdbool.h>
#include <string.h>

#include "error.h"
#include "model.h"

enum { STRINGS, TENSORS, NODES, ATTRIBUTES, METADATA, WEIGHTS, SECTIONS };

typedef struct section {
    const unsigned char *data;
    size_t bytes;
} section;

typedef struct reader {
    const unsigned char *data;
    size_t bytes;
    section sections[SECTIONS];
    goss_error *error;
} reader;

static inline uint32_t read_u32(const unsigned char *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline uint64_t read_u64(const unsigned char *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline bool all_zero(const unsigned char *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (p[i]) return false;
    return true;
}

#define CORRUPT(reader, ...) goss_fail((reader)->error, GOSS_MODEL_CORRUPT, __VA_ARGS__)

/* The weights that a tensor's record describes (FORMAT.md sections 10 and 11); its dtype and shape are read. */
goss_status goss_read_weights(reader *r, const unsigned char *record, goss_tensor *tensor);

/* Writes i8 weights that lie in runs anew as `stored` blocks with their index, and points `data` and `bytes` there. */
goss_status goss_expand_runs(reader *r, goss_tensor *tensor, uint32_t stored, const unsigned char **data,
                             size_t *bytes);

#endif
