#include "tiny_model.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gossamer.h"

const float tiny_x[TINY_INPUTS] = {1, 2, 3};
const float tiny_y[TINY_OUTPUTS] = {14.5f, 0}; /* 1 + 4 + 9 + 0.5, and ReLU(-1 + 3 - 5) */
static const float weights[TINY_OUTPUTS][TINY_INPUTS] = {{1, 2, 3}, {-1, 0, 1}};
static const float bias[TINY_OUTPUTS] = {0.5f, -5};

enum { HEADER = 64, TABLE = 6 * 32, UNUSED = -1 };
enum { INPUT_ROLE = 1, OUTPUT_ROLE, WEIGHTS_ROLE };
enum { INPUT, WEIGHTS, BIAS, OUTPUT, FULLY_CONNECTED = 2 };

typedef struct writer {
    unsigned char *file;
    size_t end;
    size_t section_start;
    uint32_t sections;
} writer;

static uint32_t crc32(uint32_t crc, const unsigned char *bytes, size_t count)
{
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static void put_u32_at(writer *w, size_t offset, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) w->file[offset + i] = (unsigned char)(value >> 8 * i);
}

static void put_u32(writer *w, uint32_t value)
{
    put_u32_at(w, w->end, value);
    w->end += 4;
}

static void put_f32(writer *w, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        put_u32(w, bits);
    }
}

static void align(writer *w) { w->end = (w->end + 63) / 64 * 64; }

static uint32_t put_string(writer *w, const char *text)
{
    const size_t offset = w->end - w->section_start;
    memcpy(w->file + w->end, text, strlen(text) + 1);
    w->end += strlen(text) + 1;
    return (uint32_t)offset;
}

static void begin_section(writer *w)
{
    align(w);
    w->section_start = w->end;
}

static void end_section(writer *w)
{
    const size_t entry = HEADER + 32 * (size_t)w->sections++, bytes = w->end - w->section_start;
    put_u32_at(w, entry, w->sections);
    put_u32_at(w, entry + 4, crc32(0, w->file + w->section_start, bytes));
    put_u32_at(w, entry + 8, (uint32_t)w->section_start);
    put_u32_at(w, entry + 16, (uint32_t)bytes);
}

/* A dimension of 0 does not exist. */
static void put_tensor(writer *w, uint32_t name, uint32_t role, uint32_t dim0, uint32_t dim1, uint32_t offset)
{
    const size_t start = w->end;
    const bool stored = role == WEIGHTS_ROLE;
    const uint32_t rank = (uint32_t)(dim0 > 0) + (dim1 > 0), elements = dim0 * (dim1 ? dim1 : 1);
    const uint32_t fields[] = {name, GOSS_DTYPE_F32, role, rank, dim0, dim1};
    for (size_t i = 0; i < 6; i++) put_u32(w, fields[i]);
    put_u32_at(w, start + 40, stored ? 1 : 0); /* block_rows */
    put_u32_at(w, start + 48, offset);
    put_u32_at(w, start + 56, stored ? 4 * elements : 0);
    w->end = start + 80;
}

static void put_header(writer *w)
{
    memcpy(w->file, "GOSS", 4);
    put_u32_at(w, 4, 2);
    put_u32_at(w, 8, TINY_MODEL_BYTES);
    put_u32_at(w, 16, w->sections);
    put_u32_at(w, 20, crc32(crc32(0, w->file, 20), w->file + 24, HEADER - 24 + TABLE));
}

unsigned char *tiny_model_new(void)
{
    writer w = {.file = goss_alloc(TINY_MODEL_BYTES), .end = HEADER + TABLE};
    if (!w.file) {
        fprintf(stderr, "tiny_model_new: no memory\n");
        exit(EXIT_FAILURE);
    }
    memset(w.file, 0, TINY_MODEL_BYTES);

    begin_section(&w);
    put_string(&w, "");
    const uint32_t input = put_string(&w, "input"), output = put_string(&w, "output");
    const uint32_t weights_name = put_string(&w, "weights"), bias_name = put_string(&w, "bias");
    const uint32_t dense = put_string(&w, "dense"), labels = put_string(&w, "labels");
    const uint32_t classes = put_string(&w, "cat\ndog");
    end_section(&w);

    begin_section(&w);
    put_tensor(&w, input, INPUT_ROLE, 1, TINY_INPUTS, 0);
    put_tensor(&w, weights_name, WEIGHTS_ROLE, TINY_OUTPUTS, TINY_INPUTS, 0);
    put_tensor(&w, bias_name, WEIGHTS_ROLE, TINY_OUTPUTS, 0, 64);
    put_tensor(&w, output, OUTPUT_ROLE, 0, 0, 0);
    end_section(&w);

    begin_section(&w);
    const uint32_t node[] = {dense, FULLY_CONNECTED, 3, INPUT, WEIGHTS, BIAS, (uint32_t)UNUSED, OUTPUT, 0, 2};
    for (size_t i = 0; i < sizeof node / sizeof *node; i++) put_u32(&w, node[i]);
    end_section(&w);

    begin_section(&w);
    put_f32(&w, (const float[]){0, INFINITY}, 2); /* the node's clamp */
    end_section(&w);

    begin_section(&w);
    put_u32(&w, labels);
    put_u32(&w, classes);
    end_section(&w);

    begin_section(&w);
    put_f32(&w, &weights[0][0], (size_t)TINY_OUTPUTS * TINY_INPUTS);
    align(&w);
    put_f32(&w, bias, TINY_OUTPUTS);
    end_section(&w);

    put_header(&w);
    return w.file;
}
