#include "harness.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

enum { GUARD_BYTES = 256 };

struct test_buffer {
    test_buffer *next;
    region memory;
    unsigned char *data; /* the buffer; what is around it in memory are guards */
    size_t bytes;
    bool constant;
    uint64_t sum; /* of a constant buffer's bytes when the kernel was called */
};

/* ---- Cases ---------------------------------------------------------------------------------------------- */

void case_begin(test *t, const char *operation, const char *format, ...)
{
    const int used = snprintf(t->subject, sizeof t->subject, "%s %s: ", operation, t->kernels->isa);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(t->subject + used, sizeof t->subject - (size_t)used, format, arguments);
    va_end(arguments);
    t->case_failed = false;
    t->cases++;
}

void case_fail(test *t, const char *format, ...)
{
    if (t->case_failed) return;
    t->case_failed = true;
    t->failed_cases++;
    printf("FAIL %s: ", t->subject);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static uint64_t sum_bytes(const unsigned char *bytes, size_t count)
{
    uint64_t sum = 0xCBF29CE484222325u; /* FNV-1a */
    for (size_t i = 0; i < count; i++) sum = (sum ^ bytes[i]) * 0x100000001B3u;
    return sum;
}

/* Guard words between two addresses of the buffer's memory. */
static void expect_guards(test *t, const test_buffer *buffer, const unsigned char *from, const unsigned char *to)
{
    for (; from < to; from += sizeof(uint32_t)) {
        uint32_t word;
        memcpy(&word, from, sizeof word);
        if (word != GUARD_WORD)
            case_fail(t, "wrote at byte %td of a buffer of %zu bytes", from - buffer->data, buffer->bytes);
    }
}

void case_end(test *t)
{
    while (t->buffers) {
        test_buffer *buffer = t->buffers;
        const unsigned char *memory_end = buffer->memory.start + buffer->memory.bytes;
        expect_guards(t, buffer, buffer->data - GUARD_BYTES, buffer->data);
        expect_guards(t, buffer, buffer->data + buffer->bytes, memory_end);
        if (buffer->constant && sum_bytes(buffer->data, buffer->bytes) != buffer->sum)
            case_fail(t, "changed an input of %zu bytes", buffer->bytes);
        t->buffers = buffer->next;
        region_free(buffer->memory);
        free(buffer);
    }
}

/* ---- Coverage ------------------------------------------------------------------------------------------- */

/* goss_kernels ends in an array of function pointers in all but name. */
typedef void (*entry_pointer)(void);
#define FIRST_ENTRY (offsetof(goss_kernels, pointwise_f32) / sizeof(entry_pointer))
#define ENTRIES     (sizeof(goss_kernels) / sizeof(entry_pointer))
_Static_assert(offsetof(goss_kernels, pointwise_f32) == offsetof(goss_kernels, lanes) + sizeof(size_t),
               "every member behind lanes is a kernel");
_Static_assert(ENTRIES <= sizeof((test *)0)->covered, "test.covered holds every entry");

void kernel_covered(test *t, const void *entry)
{
    t->covered[(size_t)((const char *)entry - (const char *)t->kernels) / sizeof(entry_pointer)] = true;
    for (test_buffer *buffer = t->buffers; buffer; buffer = buffer->next)
        buffer->sum = sum_bytes(buffer->data, buffer->bytes);
}

size_t print_uncovered(const test *t)
{
    size_t uncovered = 0;
    for (size_t i = FIRST_ENTRY; i < ENTRIES; i++) {
        entry_pointer entry;
        memcpy(&entry, (const char *)t->kernels + i * sizeof entry, sizeof entry);
        if (entry && t->covered[i]) continue;
        printf("FAIL %s: kernel %zu of goss_kernels %s\n", t->kernels->isa, i - FIRST_ENTRY,
               entry ? "has no test" : "is NULL");
        uncovered++;
    }
    return uncovered;
}

/* ---- Buffers -------------------------------------------------------------------------------------------- */

static void *buffer_new(test *t, size_t bytes, size_t from_end, bool constant)
{
    test_buffer *buffer = malloc(sizeof *buffer);
    if (!buffer) {
        perror("kernel_tests");
        exit(EXIT_FAILURE);
    }
    *buffer = (test_buffer){
        .next = t->buffers, .memory = region_new(GUARD_BYTES + from_end), .bytes = bytes, .constant = constant};
    buffer->data = buffer->memory.start + buffer->memory.bytes - from_end;
    t->buffers = buffer;

    const uint32_t word = GUARD_WORD;
    for (size_t i = 0; i < GUARD_BYTES + from_end; i += sizeof word)
        memcpy(buffer->data - GUARD_BYTES + i, &word, sizeof word);
    return buffer->data;
}

/* 64 readable bytes behind, a contract of kernels.h; the start is aligned because the memory's end is. */
static size_t engine_bytes(size_t bytes) { return (bytes + 63) / 64 * 64 + 64; }

void *input_new(test *t, size_t bytes) { return buffer_new(t, bytes, engine_bytes(bytes), true); }
void *input_exact(test *t, size_t bytes) { return buffer_new(t, bytes, bytes, true); }
void *output_new(test *t, size_t bytes) { return buffer_new(t, bytes, engine_bytes(bytes), false); }

float *input_random(test *t, size_t count)
{
    float *values = input_new(t, count * sizeof *values);
    fill_random(t, values, count);
    return values;
}

void fill_random(test *t, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) values[i] = random_f32(t);
}

/* ---- Random numbers ------------------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t random_bits(test *t)
{
    uint64_t bits = t->random_state += 0x9E3779B97F4A7C15u;
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
    return bits ^ (bits >> 31);
}

uint32_t random_below(test *t, uint32_t limit) { return (uint32_t)((random_bits(t) >> 32) * limit >> 32); }

float random_f32(test *t) { return (float)(random_bits(t) >> 40) * 0x1p-23f - 1.0f; }

/* ---- Expectations --------------------------------------------------------------------------------------- */

/* Floats in between, counting from the more negative one; 2^32 - 1 and the like when one is NaN. */
static int64_t ulps_between(float a, float b)
{
    int32_t bits[2];
    memcpy(&bits[0], &a, sizeof a);
    memcpy(&bits[1], &b, sizeof b);
    int64_t rank[2];
    for (int i = 0; i < 2; i++) rank[i] = bits[i] < 0 ? (int64_t)INT32_MIN - bits[i] : bits[i];
    return llabs(rank[0] - rank[1]);
}

void expect_close(test *t, size_t index, float found, reference expected)
{
    const double difference = fabs((double)found - expected.value);
    if (difference <= expected.bound) return;
    case_fail(t, "[%zu] expected %.9g, found %.9g: %lld ulp or %.3g apart, allowed %.3g", index, expected.value,
              (double)found, (long long)ulps_between(found, (float)expected.value), difference, expected.bound);
}

void expect_same(test *t, size_t index, float found, float expected)
{
    if (found == expected || (isnan(found) && isnan(expected))) return;
    case_fail(t, "[%zu] expected exactly %.9g, found %.9g: %lld ulp apart", index, (double)expected, (double)found,
              (long long)ulps_between(found, expected));
}

void expect_untouched(test *t, size_t index, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, values + i, sizeof word);
        if (word != GUARD_WORD) case_fail(t, "[%zu] is a gap and was written: %.9g", index + i, (double)values[i]);
    }
}
