/* The C API as a C program uses it: right answers, misuse, damaged files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

int check_failures;

void check_true(int holds, const char *condition, const char *file, int line)
{
    if (holds) return;
    check_failures++;
    printf("  %s:%d: does not hold: %s\n", file, line, condition);
}

static int is_utf8(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    while (*byte) {
        const int following = *byte < 0x80 ? 0 : *byte < 0xC0 ? -1 : *byte < 0xE0 ? 1 : *byte < 0xF0 ? 2 : 3;
        if (following < 0) return 0;
        byte++;
        for (int i = 0; i < following; i++, byte++)
            if ((*byte & 0xC0) != 0x80) return 0;
    }
    return 1;
}

void check_failure(goss_status found, goss_status expected, const goss_error *error, const char *part, const char *file,
                   int line)
{
    const int terminated = memchr(error->message, 0, sizeof error->message) != NULL;
    if (found == expected && error->status == (int32_t)expected && terminated && error->message[0] &&
        is_utf8(error->message) && strstr(error->message, part))
        return;
    check_failures++;
    printf("  %s:%d: expected status %d and a UTF-8 message with '%s', found %d and '%.252s'\n", file, line,
           (int)expected, part, (int)found, error->message);
}

int main(void)
{
    static const test_case *const groups[] = {about_tests, model_tests, session_tests, image_tests, pool_tests};
    int tests = 0, failed = 0;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (const test_case *test = groups[g]; test->run; test++) {
            const int before = check_failures;
            test->run();
            tests++;
            if (check_failures > before) printf("FAIL %s\n", test->sentence), failed++;
        }
    printf("%d tests, %d failed\n", tests, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
