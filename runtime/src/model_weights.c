/* Weights of a model file: FORMAT.md sections 10 and 11. Checked like everything else in it. */
#include <float.h>

#include "checked.h"
#include "memory.h"
#include "reader.h"

enum { DENSE, SPARSE, DEPTHWISE, RUNS }; /* storage */

/* Of block rows `listed` in number: counts and columns, at `data`. Fills in where they lie and where values begin. */
static goss_status read_index(reader *r, const goss_tensor *tensor, goss_weights *w, const unsigned char *data,
                              size_t data_bytes, size_t listed, uint32_t stored, size_t *values_offset)
{
    const size_t index_bytes = goss_column_bytes(w->columns);
    size_t total = 0;

    *values_offset = listed * 4;
    if (!checked_multiply(stored, index_bytes, &total) || !checked_add(*values_offset, total, values_offset) ||
        !checked_align_up(*values_offset, 64, values_offset) || *values_offset > data_bytes)
        return CORRUPT(r, "weights '%.60s': %zu bytes do not hold %zu counts and %u indices", tensor->name, data_bytes,
                       listed, stored);
    w->counts = (const uint32_t *)(const void *)data;
    w->indices = data + listed * 4;
    w->blocks = stored;

    size_t block = 0;
    for (size_t row = 0; row < listed; row++) {
        const uint32_t count = w->counts[row];
        if (count > w->columns || count > stored - block)
            return CORRUPT(r, "weights '%.60s': block row %zu has %u blocks; %zu columns, %zu blocks left",
                           tensor->name, row, count, w->columns, stored - block);
        for (uint32_t i = 0; i < count; i++, block++) {
            const uint32_t column = goss_weights_column(w, block);
            if (column >= w->columns || (i > 0 && column <= goss_weights_column(w, block - 1)))
                return CORRUPT(r, "weights '%.60s': block %zu in column %u; ascending below %zu expected", tensor->name,
                               block, column, w->columns);
        }
    }
    if (block != stored)
        return CORRUPT(r, "weights '%.60s': %zu blocks counted, %u stored", tensor->name, block, stored);
    return GOSS_OK;
}

/* ---- f32 and f16 ----------------------------------------------------------------------------------------- */

static size_t element_bytes(const goss_tensor *tensor) { return tensor->dtype == GOSS_DTYPE_F16 ? 2 : sizeof(float); }

/* Half precision becomes f32, which is what kernels read. */
static goss_status expand(reader *r, const goss_tensor *tensor, goss_weights *w)
{
    enum { MAGNITUDE = 0x7FFF, LARGEST = 0x7BFF, MANTISSA_DIFFERENCE = 23 - 10 };
    const uint16_t *halves = (const void *)w->values;
    size_t bytes = 0;
    if (checked_multiply(w->elements, sizeof(float), &bytes) && checked_add(bytes, GOSS_ALIGNMENT, &bytes))
        w->expanded = goss_alloc_zeroed(bytes); /* kernels may read behind, as they may in the file */
    if (!w->expanded) return goss_fail_out_of_memory(r->error, bytes, "weights in f32");
    float *values = w->expanded;

    for (size_t i = 0; i < w->elements; i++) {
        const uint32_t magnitude = halves[i] & (uint32_t)MAGNITUDE, bits = magnitude << MANTISSA_DIFFERENCE;
        if (magnitude > LARGEST) return CORRUPT(r, "weights '%.60s': stored value %zu is not finite", tensor->name, i);
        float value;
        memcpy(&value, &bits, sizeof value);
        values[i] = value * (halves[i] > MAGNITUDE ? -0x1p112f : 0x1p112f); /* exponents: 127 - 15 */
    }
    w->values = values;
    w->bytes += bytes;
    return GOSS_OK;
}

static goss_status check_numbers(reader *r, const goss_tensor *tensor, goss_weights *w)
{
    for (size_t i = 0; i < w->elements; i++) {
        const float value = w->values[i];
        if (value != value) return CORRUPT(r, "weights '%.60s': stored value %zu is NaN", tensor->name, i);
        if (!(value >= -FLT_MAX && value <= FLT_MAX)) w->infinite = true;
    }
    return GOSS_OK;
}

static goss_status read_f32_sparse(reader *r, const goss_tensor *tensor, goss_weights *w, const unsigned char *data,
                                   uint32_t stored)
{
    const size_t whole = w->rows / w->block_rows, listed = whole + w->rows % w->block_rows;
    size_t values_offset = 0;
    const goss_status status = read_index(r, tensor, w, data, w->bytes, listed, stored, &values_offset);
    if (status) return status;
    w->values = (const float *)(const void *)(data + values_offset);
    for (size_t row = 0; row < listed; row++) w->elements += (size_t)w->counts[row] * (row < whole ? w->block_rows : 1);
    if (w->bytes - values_offset != w->elements * element_bytes(tensor))
        return CORRUPT(r, "weights '%.60s': %zu bytes of values, %zu expected", tensor->name, w->bytes - values_offset,
                       w->elements * element_bytes(tensor));
    return GOSS_OK;
}

static goss_status read_f32(reader *r, const goss_tensor *tensor, goss_weights *w, const unsigned char *data,
                            uint32_t stored)
{
    if (w->block_rows != 1 && w->block_rows != 2 && w->block_rows != 4 && w->block_rows != 8)
        return CORRUPT(r, "weights '%.60s': blocks of %u rows; 1, 2, 4 or 8 expected", tensor->name, w->block_rows);
    w->columns = w->all / w->rows;
    if (w->sparse) {
        const goss_status status = read_f32_sparse(r, tensor, w, data, stored);
        if (status) return status;
    } else {
        w->values = (const float *)(const void *)data;
        w->elements = w->all;
        w->blocks = (w->rows / w->block_rows + w->rows % w->block_rows) * w->columns;
        if (w->bytes != (uint64_t)w->elements * element_bytes(tensor))
            return CORRUPT(r, "weights '%.60s': %zu bytes, %zu elements of %zu expected", tensor->name, w->bytes,
                           w->elements, element_bytes(tensor));
    }
    return tensor->dtype == GOSS_DTYPE_F16 ? expand(r, tensor, w) : check_numbers(r, tensor, w);
}

/* ---- i8 -------------------------------------------------------------------------------------------------- */

enum {
    QUAD = GOSS_QUAD,
    MOST_COLUMNS = (1 << 30) / (QUAD * GOSS_U7_MAX * GOSS_I8_MAX), /* sums fit into 32 bits, twice over */
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* `lines` of 4 bytes at `quad`, of which the first `rows` and of these the first `channels` are weights. */
static goss_status check_block(reader *r, const goss_tensor *tensor, const int8_t *quad, size_t lines, size_t rows,
                               size_t channels)
{
    for (size_t i = 0; i < lines * QUAD; i++) {
        const bool weight = i / QUAD < rows && i % QUAD < channels;
        if (weight ? quad[i] < -GOSS_I8_MAX : quad[i] != 0)
            return CORRUPT(r, "weights '%.60s': byte %td is %d; %s expected", tensor->name,
                           quad + i - tensor->weights.quads, quad[i], weight ? "-127 to 127" : "0, as padding,");
    }
    return GOSS_OK;
}

static goss_status check_scales(reader *r, const goss_tensor *tensor, const goss_weights *w)
{
    for (size_t row = 0; row < w->rows; row++)
        if (!(w->row_scale[row] > 0 && w->row_scale[row] <= FLT_MAX))
            return CORRUPT(r, "weights '%.60s': the scale of row %zu is %g; a finite number above 0 expected",
                           tensor->name, row, (double)w->row_scale[row]);
    return GOSS_OK;
}

/* One quad of rows, tap by tap. */
static goss_status read_depthwise(reader *r, const goss_tensor *tensor, goss_weights *w, size_t bytes)
{
    const size_t quads = w->padded_rows / QUAD;
    w->depthwise = true;
    w->columns = w->all / w->rows;
    if (w->block_rows != 1 || tensor->rank != 4 || tensor->dims[1] != 1)
        return CORRUPT(r, "weights '%.60s': depthwise, in blocks of %u rows; [C,1,kh,kw] in blocks of 1 expected",
                       tensor->name, w->block_rows);
    if (bytes != (uint64_t)w->columns * w->padded_rows)
        return CORRUPT(r, "weights '%.60s': %zu bytes, %zu x %zu expected", tensor->name, bytes, w->columns,
                       w->padded_rows);
    w->elements = w->all;
    goss_status status = GOSS_OK;
    for (size_t i = 0; i < w->columns * quads && !status; i++)
        status = check_block(r, tensor, w->quads + i * QUAD, 1, 1, smaller(QUAD, w->rows - i % quads * QUAD));
    return status;
}

static goss_status read_i8_matrix(reader *r, goss_tensor *tensor, goss_weights *w, const unsigned char *data,
                                  size_t bytes, uint32_t storage, uint32_t stored)
{
    const size_t channels = tensor->dims[1], positions = w->all / w->rows / channels;
    const size_t listed = w->padded_rows / w->block_rows, block_bytes = (size_t)w->block_rows * QUAD;
    size_t offset = 0;
    w->columns = (channels + QUAD - 1) / QUAD * positions;
    if (storage == RUNS) {
        const goss_status status = goss_expand_runs(r, tensor, stored, &data, &bytes);
        if (status) return status;
    }
    if (w->sparse) {
        const goss_status status = read_index(r, tensor, w, data, bytes, listed, stored, &offset);
        if (status) return status;
    }
    const uint64_t blocks = w->sparse ? stored : (uint64_t)listed * w->columns;
    if (bytes - offset != blocks * block_bytes)
        return CORRUPT(r, "weights '%.60s': %zu bytes of values, %llu blocks of %zu expected", tensor->name,
                       bytes - offset, (unsigned long long)blocks, block_bytes);
    w->blocks = (size_t)blocks;
    w->quads = (const int8_t *)(data + offset);

    const int8_t *block = w->quads;
    size_t index = 0;
    for (size_t line = 0; line < listed; line++) {
        const size_t row = line * w->block_rows, rows = row < w->rows ? smaller(w->block_rows, w->rows - row) : 0;
        const size_t count = w->sparse ? w->counts[line] : w->columns;
        for (size_t i = 0; i < count; i++, index++, block += block_bytes) {
            const size_t column = w->sparse ? goss_weights_column(w, index) : i;
            const size_t real = smaller(QUAD, channels - column / positions * QUAD);
            const goss_status status = check_block(r, tensor, block, w->block_rows, rows, real);
            if (status) return status;
            w->elements += rows * real;
        }
    }
    return GOSS_OK;
}

static goss_status read_i8(reader *r, goss_tensor *tensor, goss_weights *w, const unsigned char *data, uint32_t storage,
                           uint32_t stored)
{
    size_t scale_bytes = 0;
    w->i8 = true;
    w->padded_rows = (w->rows + QUAD - 1) / QUAD * QUAD;
    if (tensor->rank != 2 && tensor->rank != 4)
        return CORRUPT(r, "weights '%.60s': i8 of rank %u, 2 or 4 expected", tensor->name, tensor->rank);
    if (w->block_rows != 1 && w->block_rows != 4)
        return CORRUPT(r, "weights '%.60s': blocks of %u rows; 1 or 4 expected", tensor->name, w->block_rows);
    if (!checked_multiply(w->rows, sizeof(float), &scale_bytes) || !checked_align_up(scale_bytes, 64, &scale_bytes) ||
        scale_bytes > w->bytes)
        return CORRUPT(r, "weights '%.60s': %zu bytes do not hold %zu scales", tensor->name, w->bytes, w->rows);
    w->row_scale = (const float *)(const void *)data;
    w->quads = (const int8_t *)(data + scale_bytes);

    goss_status status = check_scales(r, tensor, w);
    if (!status)
        status = storage == DEPTHWISE
                     ? read_depthwise(r, tensor, w, w->bytes - scale_bytes)
                     : read_i8_matrix(r, tensor, w, data + scale_bytes, w->bytes - scale_bytes, storage, stored);
    if (!status && w->columns > MOST_COLUMNS)
        return goss_fail(r->error, GOSS_UNSUPPORTED, "weights '%.60s': %zu columns of i8; at most %d are supported",
                         tensor->name, w->columns, MOST_COLUMNS);
    return status;
}

/* ---- Either ---------------------------------------------------------------------------------------------- */

goss_status goss_read_weights(reader *r, const unsigned char *record, goss_tensor *tensor)
{
    goss_weights *w = &tensor->weights;
    const uint32_t storage = read_u32(record + 44), stored = read_u32(record + 64);
    const uint64_t offset = read_u64(record + 48), bytes = read_u64(record + 56);
    const section *blob = &r->sections[WEIGHTS];
    const bool i8 = tensor->dtype == GOSS_DTYPE_I8;

    const bool sparse = storage == SPARSE || storage == RUNS;

    if (storage > (i8 ? RUNS : SPARSE) || (!sparse && stored != 0))
        return CORRUPT(r, "weights '%.60s': storage %u with %u blocks; 0 (dense, 0 blocks)%s or 1 (sparse) expected",
                       tensor->name, storage, stored, i8 ? ", 2 (depthwise, 0 blocks), 3 (runs)" : "");
    if (offset % 64 != 0 || offset > blob->bytes || bytes > blob->bytes - offset)
        return CORRUPT(r, "weights '%.60s': offset %llu, %llu bytes outside of the section's %zu bytes", tensor->name,
                       (unsigned long long)offset, (unsigned long long)bytes, blob->bytes);
    w->block_rows = read_u32(record + 40);
    w->rows = w->all = tensor->dims[0];
    for (uint32_t i = 1; i < tensor->rank; i++) w->all *= tensor->dims[i];
    w->bytes = (size_t)bytes;
    w->sparse = sparse;
    const unsigned char *data = blob->data + offset;
    return i8 ? read_i8(r, tensor, w, data, storage, stored) : read_f32(r, tensor, w, data, stored);
}
