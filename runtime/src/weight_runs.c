/* i8 weights whose places the file tells as runs of zeros (FORMAT.md section 11): they become blocks with an index. */
#include "checked.h"
#include "memory.h"
#include "reader.h"

enum { HEAD_BYTES = 8, MOST_REMAINDER_BITS = 15 };

typedef struct bit_stream {
    const unsigned char *data;
    uint64_t at, end; /* in bits, the lowest of a byte first */
} bit_stream;

static bool next_bit(bit_stream *stream)
{
    const uint64_t at = stream->at++;
    return stream->data[at / 8] >> at % 8 & 1;
}

/* The zeros before the next one; false where there is no other one. */
static bool read_unary(bit_stream *stream, uint64_t *value)
{
    for (*value = 0; stream->at < stream->end; ++*value)
        if (next_bit(stream)) return true;
    return false;
}

static uint64_t read_number(bit_stream *stream, uint32_t bits)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < bits; i++) value |= (uint64_t)next_bit(stream) << i;
    return value;
}

/* What the file says. */
typedef struct runs {
    const int8_t *values;
    uint32_t count, remainder_bits;
    bit_stream remainders, quotients;
} runs;

static goss_status read_head(reader *r, const goss_tensor *tensor, const unsigned char *data, size_t bytes, runs *found)
{
    const uint64_t weights = bytes < HEAD_BYTES ? 0 : read_u32(data), bits = weights ? read_u32(data + 4) : 0;
    const uint64_t remainders = HEAD_BYTES + weights;
    const uint64_t quotients = remainders + (weights * (bits & MOST_REMAINDER_BITS) + 7) / 8;
    if (quotients > bytes || bits > MOST_REMAINDER_BITS)
        return CORRUPT(r, "weights '%.60s': %zu bytes do not hold %llu weights in runs with remainders of %llu bits",
                       tensor->name, bytes, (unsigned long long)weights, (unsigned long long)bits);
    found->values = (const int8_t *)data + HEAD_BYTES;
    found->count = (uint32_t)weights;
    found->remainder_bits = (uint32_t)bits;
    found->remainders = (bit_stream){data + remainders, 0, (quotients - remainders) * 8};
    found->quotients = (bit_stream){data + quotients, 0, (bytes - quotients) * 8};
    return GOSS_OK;
}

/* Where blocks go: counts, columns and values, as of sparse storage. */
typedef struct block_writer {
    uint32_t *counts;
    void *columns;
    int8_t *values;
    size_t block_bytes, row_columns, rows; /* of block rows */
    uint32_t blocks, most;
} block_writer;

static void begin_block(block_writer *to, size_t row, size_t column)
{
    if (goss_column_bytes(to->row_columns) == 2)
        ((uint16_t *)to->columns)[to->blocks] = (uint16_t)column;
    else
        ((uint32_t *)to->columns)[to->blocks] = (uint32_t)column;
    to->counts[row]++;
    to->blocks++;
}

static goss_status wrong_blocks(reader *r, const goss_tensor *tensor, uint32_t stored)
{
    return CORRUPT(r, "weights '%.60s': the runs do not make %u blocks", tensor->name, stored);
}

static goss_status lay_blocks(reader *r, const goss_tensor *tensor, runs *from, block_writer *to)
{
    const uint64_t row_bytes = (uint64_t)to->row_columns * to->block_bytes;
    uint64_t place = 0, block_end = 0; /* both in block row `row` */
    size_t row = 0;
    for (uint32_t i = 0; i < from->count; i++, place++) {
        uint64_t quotient = 0;
        const bool found = read_unary(&from->quotients, &quotient);
        place += (quotient << from->remainder_bits) + read_number(&from->remainders, from->remainder_bits);
        for (; place >= row_bytes && row < to->rows; row++, block_end = 0) place -= row_bytes;
        if (!found || row == to->rows || from->values[i] == 0)
            return CORRUPT(r, "weights '%.60s': weight %u of the runs is %d, or lies outside", tensor->name, i,
                           from->values[i]);
        if (place >= block_end) {
            if (to->blocks == to->most) return wrong_blocks(r, tensor, to->most);
            const size_t column = (size_t)(place / to->block_bytes);
            begin_block(to, row, column);
            block_end = (uint64_t)(column + 1) * to->block_bytes;
        }
        to->values[to->blocks * to->block_bytes - (size_t)(block_end - place)] = from->values[i];
    }
    uint64_t rest = 0;
    const bool more = read_unary(&from->quotients, &rest) || rest >= 8;
    return more || to->blocks != to->most ? wrong_blocks(r, tensor, to->most) : GOSS_OK;
}

goss_status goss_expand_runs(reader *r, goss_tensor *tensor, uint32_t stored, const unsigned char **data, size_t *bytes)
{
    goss_weights *w = &tensor->weights;
    runs from = {0};
    const goss_status status = read_head(r, tensor, *data, *bytes, &from);
    if (status) return status;
    if (stored > from.count) return wrong_blocks(r, tensor, stored);

    const size_t listed = w->padded_rows / w->block_rows, block_bytes = (size_t)w->block_rows * GOSS_QUAD;
    const size_t index_bytes = goss_column_bytes(w->columns), columns_at = listed * 4;
    size_t values_at = 0, total = 0, wanted = 0;
    if (checked_multiply(stored, index_bytes, &values_at) && checked_add(values_at, columns_at, &values_at) &&
        checked_align_up(values_at, 64, &values_at) && checked_multiply(stored, block_bytes, &total) &&
        checked_add(total, values_at, &total) && checked_add(total, GOSS_ALIGNMENT, &wanted))
        w->expanded = goss_alloc_zeroed(wanted); /* kernels may read behind, as they may in the file */
    if (!w->expanded) return goss_fail_out_of_memory(r->error, wanted, "blocks of weights");
    w->bytes += wanted;
    unsigned char *out = w->expanded;
    *data = out;
    *bytes = total;
    block_writer to = {
        (uint32_t *)(void *)out, out + columns_at, (int8_t *)out + values_at, block_bytes, w->columns, listed,
        .most = stored};
    return lay_blocks(r, tensor, &from, &to);
}
