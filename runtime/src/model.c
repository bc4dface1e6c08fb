/* Reads a model file (FORMAT.md) and believes nothing in it. */
#include "model.h"

#include <float.h>
#include <string.h>

#include "checked.h"
#include "crc32.h"
#include "error.h"
#include "memory.h"
#include "reader.h"
#include "utf8.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are used in place, and are little-endian");

enum {
    VERSION = 2,
    HEADER_BYTES = 64,
    SECTION_BYTES = 32,
    TENSOR_BYTES = 80,
    NODE_BYTES = 40,
    METADATA_BYTES = 8,
    TAIL_BYTES = 64,
    UNUSED_INPUT = -1,
    /* Bounds on what planning may cost, far above any real model. */
    MAX_NODES = 1 << 14,
    MAX_TENSORS = 1 << 16
};

static const char *const section_names[SECTIONS] = {"strings", "tensors", "nodes", "attributes", "metadata", "weights"};

/* ---- Sections 1 and 2 ------------------------------------------------------------------------------- */

/* What people open by mistake, and what to do about it. */
static const char *describe_alien(const unsigned char *data, size_t bytes)
{
    static const struct {
        const char *mark, *description;
    } kinds[] = {
        {"<", "it looks like a web page; check the address that it came from"},
        {"\x89PNG", "it is a picture; pass the model first"},
        {"\xFF\xD8\xFF", "it is a picture; pass the model first"},
        {"PK\x03\x04", "it is a zip archive or a PyTorch checkpoint; unpack it, or export it to ONNX"},
        {"version https://git-lfs", "it is a Git LFS pointer; fetch the file with `git lfs pull`"},
        {"\x08", "it looks like an ONNX model; turn it into a .goss file with `gossamer convert`"},
    };
    if (bytes == 0) return "it is empty; fetch it again";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t length = strlen(kinds[i].mark);
        if (bytes >= length && memcmp(data, kinds[i].mark, length) == 0) return kinds[i].description;
    }
    return "it does not begin with \"GOSS\"; make one with `gossamer convert`";
}

static goss_status read_header(reader *r)
{
    if (r->bytes < 4 || memcmp(r->data, "GOSS", 4) != 0)
        return CORRUPT(r, "not a .goss file (%zu bytes): %s", r->bytes, describe_alien(r->data, r->bytes));
    if (r->bytes < HEADER_BYTES + SECTIONS * SECTION_BYTES)
        return CORRUPT(r, "truncated in the header: %zu bytes, at least %d expected; fetch the file again", r->bytes,
                       HEADER_BYTES + SECTIONS * SECTION_BYTES);
    if (read_u32(r->data + 4) != VERSION)
        return goss_fail(
            r->error, GOSS_UNSUPPORTED,
            "file format version %u, this build reads version %d; convert the model again or update gossamer",
            read_u32(r->data + 4), VERSION);
    if (read_u64(r->data + 8) != r->bytes)
        return CORRUPT(r, "%s: the header promises %llu bytes, the file has %zu; fetch it again",
                       read_u64(r->data + 8) > r->bytes ? "truncated" : "wrong size",
                       (unsigned long long)read_u64(r->data + 8), r->bytes);
    if (read_u32(r->data + 16) != SECTIONS)
        return CORRUPT(r, "header: %u sections, %d expected", read_u32(r->data + 16), SECTIONS);
    if (!all_zero(r->data + 24, HEADER_BYTES - 24)) return CORRUPT(r, "header: reserved bytes 24 to 63 are not zero");

    uint32_t crc = goss_crc32(0, r->data, 20);
    crc = goss_crc32(crc, r->data + 24, HEADER_BYTES - 24 + SECTIONS * SECTION_BYTES);
    if (crc != read_u32(r->data + 20))
        return CORRUPT(r, "header: checksum %08x, %08x expected: the file was altered; fetch it again", crc,
                       read_u32(r->data + 20));
    return GOSS_OK;
}

static goss_status read_section(reader *r, int kind, size_t *end)
{
    const unsigned char *entry = r->data + HEADER_BYTES + kind * SECTION_BYTES;
    const uint64_t offset = read_u64(entry + 8), bytes = read_u64(entry + 16);
    const char *name = section_names[kind];

    if (read_u32(entry) != (uint32_t)kind + 1)
        return CORRUPT(r, "section table entry %d: kind %u, %d (%s) expected", kind, read_u32(entry), kind + 1, name);
    if (read_u64(entry + 24) != 0) return CORRUPT(r, "section %s: reserved field is not zero", name);
    if (offset % 64 != 0 || offset < *end || offset > r->bytes || bytes > r->bytes - offset)
        return CORRUPT(r, "section %s: offset %llu, %llu bytes does not fit behind byte %zu of a file of %zu bytes",
                       name, (unsigned long long)offset, (unsigned long long)bytes, *end, r->bytes);
    if (!all_zero(r->data + *end, (size_t)offset - *end))
        return CORRUPT(r, "section %s: the gap in front of it is not zero", name);

    section *s = &r->sections[kind];
    s->data = r->data + offset;
    s->bytes = (size_t)bytes;
    *end = (size_t)offset + s->bytes;
    const uint32_t crc = goss_crc32(0, s->data, s->bytes);
    if (crc != read_u32(entry + 4))
        return CORRUPT(r, "section %s: checksum %08x, %08x expected: the file was altered; fetch it again", name, crc,
                       read_u32(entry + 4));
    return GOSS_OK;
}

static goss_status read_sections(reader *r)
{
    size_t end = HEADER_BYTES + SECTIONS * SECTION_BYTES;
    for (int kind = 0; kind < SECTIONS; kind++) {
        const goss_status status = read_section(r, kind, &end);
        if (status) return status;
    }
    if (r->bytes % 64 != 0 || r->bytes - end < TAIL_BYTES || r->bytes - end >= TAIL_BYTES + 64 ||
        !all_zero(r->data + end, r->bytes - end))
        return CORRUPT(r,
                       "tail: %zu bytes behind the last section; zeros up to a multiple of 64, and 64 more, expected",
                       r->bytes - end);
    const section *strings = &r->sections[STRINGS];
    if (strings->bytes == 0 || strings->data[0] != 0 || strings->data[strings->bytes - 1] != 0)
        return CORRUPT(r, "section strings: must begin and end with a zero byte");
    for (size_t i = 0, bytes; i < strings->bytes; i += bytes) {
        bytes = goss_utf8_character((const char *)strings->data + i);
        if (bytes == 0) return CORRUPT(r, "section strings: byte %zu begins no UTF-8 character", i);
    }
    return GOSS_OK;
}

static goss_status record_count(reader *r, int kind, size_t record_bytes, size_t limit, uint32_t *count)
{
    const size_t bytes = r->sections[kind].bytes;
    if (bytes % record_bytes != 0)
        return CORRUPT(r, "section %s: %zu bytes is no multiple of the record's %zu", section_names[kind], bytes,
                       record_bytes);
    if (bytes / record_bytes > limit)
        return goss_fail(r->error, GOSS_UNSUPPORTED, "section %s: %zu records, this build takes at most %zu",
                         section_names[kind], bytes / record_bytes, limit);
    *count = (uint32_t)(bytes / record_bytes);
    return GOSS_OK;
}

static goss_status read_string(reader *r, uint32_t offset, const char *what, uint32_t index, const char **string)
{
    if (offset >= r->sections[STRINGS].bytes)
        return CORRUPT(r, "%s %u: string at %u, but the section strings has %zu bytes", what, index, offset,
                       r->sections[STRINGS].bytes);
    *string = (const char *)r->sections[STRINGS].data + offset;
    return GOSS_OK;
}

/* ---- Section 4: tensors ------------------------------------------------------------------------------ */

static goss_status read_dims(reader *r, const unsigned char *record, goss_tensor *tensor)
{
    const bool computed = tensor->role == GOSS_ROLE_INTERMEDIATE || tensor->role == GOSS_ROLE_OUTPUT;
    size_t elements = 1;

    tensor->rank = read_u32(record + 12);
    if (computed ? tensor->rank != 0 : tensor->rank < 1 || tensor->rank > GOSS_MAX_RANK)
        return CORRUPT(r, "tensor '%.60s': rank %u, %s expected", tensor->name, tensor->rank,
                       computed ? "0" : "1 to 6");
    for (uint32_t i = 0; i < GOSS_MAX_RANK; i++) {
        const uint32_t dim = tensor->dims[i] = read_u32(record + 16 + 4 * i);
        if (i >= tensor->rank ? dim != 0 : dim == 0)
            return CORRUPT(r, "tensor '%.60s': dimension %u is %u, %s expected", tensor->name, i, dim,
                           i >= tensor->rank ? "0" : "at least 1");
        if (i < tensor->rank && (!checked_multiply(elements, dim, &elements) || elements >= (size_t)1 << 31))
            return CORRUPT(r, "tensor '%.60s': 2^31 elements or more", tensor->name);
    }
    return GOSS_OK;
}

/* dtype, which the role must allow, and what the numbers of a u7 tensor stand for. */
static goss_status read_dtype(reader *r, const unsigned char *record, goss_tensor *tensor)
{
    static const uint32_t allowed[] = {
        [GOSS_ROLE_INTERMEDIATE] = 1u << GOSS_DTYPE_F32 | 1u << GOSS_DTYPE_U7,
        [GOSS_ROLE_INPUT] = 1u << GOSS_DTYPE_F32 | 1u << GOSS_DTYPE_U8,
        [GOSS_ROLE_OUTPUT] = 1u << GOSS_DTYPE_F32,
        [GOSS_ROLE_WEIGHTS] = 1u << GOSS_DTYPE_F32 | 1u << GOSS_DTYPE_I8 | 1u << GOSS_DTYPE_F16,
    };
    const uint32_t dtype = read_u32(record + 4);
    if (dtype > GOSS_DTYPE_F16 || !(allowed[tensor->role] >> dtype & 1))
        return goss_fail(r->error, GOSS_UNSUPPORTED,
                         "tensor '%.60s': dtype %u, this build knows 1 (f32) and, for inputs, 2 (u8), for weights, 3 "
                         "(i8) and 5 (f16), for intermediates, 4 (u7)",
                         tensor->name, dtype);
    tensor->dtype = (goss_dtype)dtype;
    memcpy(&tensor->scale, record + 68, sizeof tensor->scale);
    tensor->zero_point = read_u32(record + 72);
    const bool quantized = dtype == GOSS_DTYPE_U7;
    if (quantized ? !(tensor->scale > 0 && tensor->scale <= FLT_MAX) : read_u32(record + 68) != 0)
        return CORRUPT(r, "tensor '%.60s': the scale is %g; %s expected", tensor->name, (double)tensor->scale,
                       quantized ? "a finite number above 0" : "0");
    if (tensor->zero_point > (quantized ? GOSS_U7_MAX : 0))
        return CORRUPT(r, "tensor '%.60s': the zero point is %u; %s expected", tensor->name, tensor->zero_point,
                       quantized ? "0 to 127" : "0");
    return GOSS_OK;
}

static goss_status read_tensor(reader *r, uint32_t index, goss_tensor *tensor)
{
    const unsigned char *record = r->sections[TENSORS].data + (size_t)index * TENSOR_BYTES;
    goss_status status = read_string(r, read_u32(record), "tensor", index, &tensor->name);
    if (status) return status;
    if (read_u32(record + 8) > GOSS_ROLE_WEIGHTS)
        return CORRUPT(r, "tensor '%.60s': role %u, 0 to 3 expected", tensor->name, read_u32(record + 8));
    tensor->role = (goss_role)read_u32(record + 8);
    status = read_dtype(r, record, tensor);
    if (status) return status;
    if (read_u32(record + 76) != 0) return CORRUPT(r, "tensor '%.60s': reserved field is not zero", tensor->name);
    status = read_dims(r, record, tensor);
    if (status) return status;
    if (tensor->role == GOSS_ROLE_WEIGHTS) return goss_read_weights(r, record, tensor);
    if (!all_zero(record + 40, 28))
        return CORRUPT(r, "tensor '%.60s': holds no weights, but has block, storage or data fields", tensor->name);
    return GOSS_OK;
}

/* ---- Sections 5 to 7: nodes, attributes, metadata ---------------------------------------------------- */

static goss_status read_node(reader *r, const goss_model *model, uint32_t index, bool *written, goss_node *node)
{
    const unsigned char *record = r->sections[NODES].data + (size_t)index * NODE_BYTES;
    goss_status status = read_string(r, read_u32(record), "node", index, &node->name);
    if (status) return status;

    node->op = goss_op_find(read_u32(record + 4));
    if (!node->op)
        return goss_fail(r->error, GOSS_UNSUPPORTED,
                         "node '%.60s': operator %u is unknown to this build; update gossamer", node->name,
                         read_u32(record + 4));
    const uint32_t inputs = node->input_count = read_u32(record + 8), needed = node->op->inputs;
    if (inputs < needed || inputs > needed + node->op->optional_inputs)
        return CORRUPT(r, "node '%.60s' (%s): %u inputs, %u to %u expected", node->name, node->op->name, inputs, needed,
                       needed + node->op->optional_inputs);
    for (uint32_t i = 0; i < GOSS_NODE_MAX_INPUTS; i++) {
        const uint32_t input = node->inputs[i] = read_u32(record + 12 + 4 * i);
        if (i >= inputs ? input != (uint32_t)UNUSED_INPUT : input >= model->tensor_count)
            return CORRUPT(r, "node '%.60s' (%s): input %u is tensor %u of %u", node->name, node->op->name, i, input,
                           model->tensor_count);
        if (i < inputs && !written[input])
            return CORRUPT(r, "node '%.60s' (%s): reads tensor '%.60s' before it is computed", node->name,
                           node->op->name, model->tensors[input].name);
        if (i < inputs && model->tensors[input].weights.infinite && !node->op->infinite_constants)
            return CORRUPT(r, "node '%.60s' (%s): weights '%.60s' are not finite", node->name, node->op->name,
                           model->tensors[input].name);
    }

    node->output = read_u32(record + 28);
    if (node->output >= model->tensor_count || written[node->output])
        return CORRUPT(r, "node '%.60s' (%s): output tensor %u of %u does not exist or is written already", node->name,
                       node->op->name, node->output, model->tensor_count);
    written[node->output] = true;

    const uint32_t offset = read_u32(record + 32), words = read_u32(record + 36);
    const size_t available = r->sections[ATTRIBUTES].bytes / 4;
    const uint32_t least = node->op->attributes;
    if (words < least || words > least + node->op->optional_attributes || offset > available ||
        words > available - offset)
        return CORRUPT(r, "node '%.60s' (%s): %u attribute words at %u; %u%s expected within %zu", node->name,
                       node->op->name, words, offset, least, node->op->optional_attributes ? " or one more" : "",
                       available);
    node->attribute_count = words;
    node->attributes = r->sections[ATTRIBUTES].data + (size_t)offset * 4;
    return GOSS_OK;
}

static goss_status read_nodes(reader *r, goss_model *model, bool *written)
{
    uint32_t inputs = 0, outputs = 0;
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        const goss_role role = model->tensors[i].role;
        written[i] = role == GOSS_ROLE_INPUT || role == GOSS_ROLE_WEIGHTS;
        inputs += role == GOSS_ROLE_INPUT;
        outputs += role == GOSS_ROLE_OUTPUT;
    }
    if (inputs == 0 || outputs == 0)
        return CORRUPT(r, "the model has %u inputs and %u outputs; at least one of each expected", inputs, outputs);
    for (uint32_t i = 0; i < model->node_count; i++) {
        const goss_status status = read_node(r, model, i, written, &model->nodes[i]);
        if (status) return status;
    }
    for (uint32_t i = 0; i < model->tensor_count; i++)
        if (!written[i]) return CORRUPT(r, "tensor '%.60s': no node computes it", model->tensors[i].name);
    return GOSS_OK;
}

static goss_status read_metadata(reader *r, goss_model *model)
{
    for (uint32_t i = 0; i < 2 * model->metadata_count; i++) {
        const uint32_t offset = read_u32(r->sections[METADATA].data + (size_t)i * 4);
        const goss_status status = read_string(r, offset, "metadata entry", i / 2, &model->metadata[i]);
        if (status) return status;
        for (uint32_t j = 0; i % 2 == 0 && j < i; j += 2)
            if (strcmp(model->metadata[i], model->metadata[j]) == 0)
                return CORRUPT(r, "metadata: key '%.60s' stands twice", model->metadata[i]);
    }
    return GOSS_OK;
}

/* ---- The whole --------------------------------------------------------------------------------------- */

static goss_status read_model(reader *r, goss_model *model)
{
    goss_status status = read_header(r);
    if (!status) status = read_sections(r);
    if (!status) status = record_count(r, TENSORS, TENSOR_BYTES, MAX_TENSORS, &model->tensor_count);
    if (!status) status = record_count(r, NODES, NODE_BYTES, MAX_NODES, &model->node_count);
    if (!status) status = record_count(r, METADATA, METADATA_BYTES, 1 << 10, &model->metadata_count);
    if (status) return status;
    if (r->sections[ATTRIBUTES].bytes % 4 != 0)
        return CORRUPT(r, "section attributes: %zu bytes is no multiple of 4", r->sections[ATTRIBUTES].bytes);

    model->tensors = goss_alloc_zeroed(model->tensor_count * sizeof *model->tensors);
    model->nodes = goss_alloc_zeroed(model->node_count * sizeof *model->nodes);
    model->metadata = goss_alloc_zeroed(2 * model->metadata_count * sizeof *model->metadata);
    bool *written = goss_alloc_zeroed(model->tensor_count * sizeof *written);
    if (!model->tensors || !model->nodes || !model->metadata || !written) {
        goss_free(written);
        return goss_fail_out_of_memory(r->error, model->tensor_count * sizeof *model->tensors, "the model's tables");
    }
    for (uint32_t i = 0; i < model->tensor_count && !status; i++) status = read_tensor(r, i, &model->tensors[i]);
    if (!status) status = read_nodes(r, model, written);
    if (!status) status = read_metadata(r, model);
    goss_free(written);
    return status;
}

goss_status goss_model_load(const void *data, size_t bytes, goss_model **model, goss_error *error)
{
    if (!model) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_model_load: model is NULL");
    *model = NULL;
    if (!data) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_model_load: data is NULL");

    goss_model *loaded = goss_alloc_zeroed(sizeof *loaded);
    if (!loaded) return goss_fail_out_of_memory(error, sizeof *loaded, "the model");
    loaded->data = data;
    if ((uintptr_t)data % GOSS_ALIGNMENT != 0) {
        loaded->owned = goss_alloc(bytes);
        if (!loaded->owned) {
            goss_model_destroy(loaded);
            return goss_fail_out_of_memory(error, bytes, "an aligned copy of the model");
        }
        memcpy(loaded->owned, data, bytes);
        loaded->data = loaded->owned;
    }

    reader r = {.data = loaded->data, .bytes = bytes, .error = error};
    const goss_status status = read_model(&r, loaded);
    if (status)
        goss_model_destroy(loaded);
    else
        *model = loaded;
    return status;
}

void goss_model_destroy(goss_model *model)
{
    if (!model) return;
    for (uint32_t i = 0; model->tensors && i < model->tensor_count; i++) goss_free(model->tensors[i].weights.expanded);
    goss_free(model->tensors);
    goss_free(model->nodes);
    goss_free(model->metadata);
    goss_free(model->owned);
    goss_free(model);
}

uint32_t goss_model_metadata_count(const goss_model *model) { return model ? model->metadata_count : 0; }

goss_status goss_model_metadata(const goss_model *model, uint32_t index, const char **key, const char **value,
                                goss_error *error)
{
    if (!model || !key || !value)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_model_metadata: a pointer is NULL");
    if (index >= model->metadata_count)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "metadata %u: the model has %u entries", index,
                         model->metadata_count);
    *key = model->metadata[2 * index];
    *value = model->metadata[2 * index + 1];
    return GOSS_OK;
}
