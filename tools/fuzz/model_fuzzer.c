/* libFuzzer target: any bytes must load or be refused, and what loads must plan, describe and run cleanly.
 *
 * Checksums would keep a fuzzer out, so size and checksums are repaired first; the checks behind them see everything.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crc32.h"
#include "gossamer.h"

enum { HEADER_BYTES = 64, SECTION_BYTES = 32, SECTIONS = 6 };

/* What a run may cost: a mutated shape can ask for hours. */
static const uint64_t MAX_ARENA_BYTES = 1 << 24, MAX_MACS = 1 << 26;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair(unsigned char *file, uint64_t size)
{
    if (size < HEADER_BYTES + SECTIONS * SECTION_BYTES) return;
    memcpy(file + 8, &size, sizeof size);
    for (int i = 0; i < SECTIONS; i++) {
        unsigned char *entry = file + HEADER_BYTES + i * SECTION_BYTES;
        uint64_t offset, bytes;
        memcpy(&offset, entry + 8, sizeof offset);
        memcpy(&bytes, entry + 16, sizeof bytes);
        if (offset > size || bytes > size - offset) continue;
        const uint32_t crc = goss_crc32(0, file + offset, bytes);
        memcpy(entry + 4, &crc, sizeof crc);
    }
    uint32_t crc = goss_crc32(0, file, 20);
    crc = goss_crc32(crc, file + 24, HEADER_BYTES - 24 + SECTIONS * SECTION_BYTES);
    memcpy(file + 20, &crc, sizeof crc);
}

static void run(goss_session *session, const goss_session_info *info)
{
    goss_error error;
    void **bound = calloc(info->inputs + info->outputs, sizeof *bound);
    for (uint32_t i = 0; i < info->inputs + info->outputs; i++) {
        goss_tensor_info tensor;
        const int input = i < info->inputs;
        const uint32_t index = input ? i : i - info->inputs;
        if (input ? goss_session_input(session, index, &tensor, &error)
                  : goss_session_output(session, index, &tensor, &error))
            abort();
        bound[i] = calloc(1, tensor.bytes);
        if (input ? goss_session_bind_input(session, index, bound[i], tensor.bytes, &error)
                  : goss_session_bind_output(session, index, bound[i], tensor.bytes, &error))
            abort();
    }
    if (goss_session_run(session, &error)) abort();
    for (uint32_t i = 0; i < info->inputs + info->outputs; i++) free(bound[i]);
    free(bound);
}

static void use(const goss_model *model)
{
    goss_error error;
    goss_session *session = NULL;
    goss_session_info info;
    const char *key, *value;
    for (uint32_t i = 0; i < goss_model_metadata_count(model); i++)
        if (goss_model_metadata(model, i, &key, &value, &error) || strlen(key) + strlen(value) > 1 << 30) abort();
    if (goss_session_create(model, NULL, &session, &error)) return;
    if (goss_session_describe(session, &info, &error)) abort();
    for (uint32_t i = 0; i < info.layers; i++) {
        goss_layer_info layer;
        if (goss_session_layer(session, i, &layer, &error)) abort();
    }
    if (info.arena_bytes <= MAX_ARENA_BYTES && info.dense_macs <= MAX_MACS) run(session, &info);
    goss_session_destroy(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    goss_error error;
    goss_model *model = NULL;
    unsigned char *file = goss_alloc(size);
    if (!file) return 0;
    if (size > 0) memcpy(file, data, size);
    repair(file, size);
    if (goss_model_load(file, size, &model, &error) == GOSS_OK) use(model);
    goss_model_destroy(model);
    goss_free(file);
    return 0;
}
