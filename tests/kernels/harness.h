/* What every kernel test uses: cases, guarded buffers, random numbers, comparisons.
 *
 *   case_begin(t, "add_f32", "count %zu", count);
 *   float *a = input_random(t, count), *b = input_random(t, count), *y = output_new(t, count * sizeof *y);
 *   RUN_KERNEL(t, add_f32, &(goss_add_f32_args){...});
 *   for (size_t i = 0; i < count; i++) expect_close(t, i, y[i], reference_add_f32(a[i], b[i], min, max));
 *   case_end(t);
 *
 * A buffer lies between guards and, natively, against a protected page. Guards and everything that is not yet
 * written hold GUARD_WORD, which is a NaN: whoever computes with it gets a NaN. */
#ifndef GOSS_TEST_HARNESS_H
#define GOSS_TEST_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels.h"
#include "reference.h"

#define GUARD_WORD 0x7FC0DEADu

typedef struct test_buffer test_buffer;

/* The tests of one instruction set. */
typedef struct test {
    const goss_kernels *kernels;
    uint64_t random_state;
    char subject[256]; /* operation, instruction set and shape of the case that runs */
    test_buffer *buffers;
    bool case_failed;
    size_t cases, failed_cases;
    bool covered[128]; /* by position in goss_kernels */
} test;

/* ---- Cases ---------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) void case_begin(test *t, const char *operation, const char *format, ...);

/* Checks that nothing was written but the outputs, then frees the case's buffers. */
void case_end(test *t);

/* Prints what is wrong with the case, once: later failures of a failed case are silent. */
__attribute__((format(printf, 2, 3))) void case_fail(test *t, const char *format, ...);

/* Calls an entry of the table under test and notes that it was. */
#define RUN_KERNEL(t, entry, ...) (kernel_covered((t), &(t)->kernels->entry), (t)->kernels->entry(__VA_ARGS__))
void kernel_covered(test *t, const void *entry);

/* The entries of the table that are not set or that no test has called; they are printed. */
size_t print_uncovered(const test *t);

/* ---- Buffers, freed by case_end() ------------------------------------------------------------------------ */

/* As the engine's buffers are: aligned to 64 bytes, 64 readable bytes behind it. Never written by a kernel. */
void *input_new(test *t, size_t bytes);

/* Aligned to 4 bytes only, and ends where nothing may be read. Never written by a kernel. */
void *input_exact(test *t, size_t bytes);

/* As the engine's buffers are; a kernel may write all of it. */
void *output_new(test *t, size_t bytes);

float *input_random(test *t, size_t count);
void fill_random(test *t, float *values, size_t count);

/* ---- Random numbers ------------------------------------------------------------------------------------- */

uint32_t random_below(test *t, uint32_t limit);
float random_f32(test *t); /* in [-1, 1) */

/* ---- Expectations --------------------------------------------------------------------------------------- */

void expect_close(test *t, size_t index, float found, reference expected);
void expect_same(test *t, size_t index, float found, float expected); /* equal, or both NaN */
void expect_untouched(test *t, size_t index, const float *values, size_t count);

#endif
