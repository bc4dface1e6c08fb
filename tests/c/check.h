/* Expectations of the C API tests. A failed one is printed and counted; the test goes on. */
#ifndef GOSS_TEST_CHECK_H
#define GOSS_TEST_CHECK_H

#include "gossamer.h"

extern int check_failures;

#define CHECK(condition) check_true((condition) != 0, #condition, __FILE__, __LINE__)
void check_true(int holds, const char *condition, const char *file, int line);

/* The call must fail with this status and a message that contains `part` ("" = any), in whole UTF-8 characters. */
#define CHECK_FAILS(call, expected_status, part)                                                                       \
    do {                                                                                                               \
        goss_error error = {.status = -1};                                                                             \
        check_failure((call), (expected_status), &error, (part), __FILE__, __LINE__);                                  \
    } while (0)
void check_failure(goss_status found, goss_status expected, const goss_error *error, const char *part, const char *file,
                   int line);

/* A test is a sentence about behaviour. */
typedef struct test_case {
    const char *sentence;
    void (*run)(void);
} test_case;
#define TEST(name) {#name, name}

extern const test_case about_tests[], model_tests[], session_tests[], image_tests[],
    pool_tests[]; /* each ended by NULLs */

#endif
