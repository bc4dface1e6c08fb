#include <ctype.h>
#include <string.h>

#include "check.h"

static void the_version_is_three_numbers(void)
{
    int dots = 0;
    for (const char *c = goss_version(); *c; c++) {
        dots += *c == '.';
        CHECK(*c == '.' || isdigit((unsigned char)*c));
    }
    CHECK(dots == 2);
    CHECK(goss_abi_version() > 0);
}

static void instruction_sets_have_names_and_an_end(void)
{
    const uint32_t count = goss_isa_count();
    CHECK(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(goss_isa_name(i) && *goss_isa_name(i));
        for (uint32_t j = 0; j < i; j++) CHECK(strcmp(goss_isa_name(i), goss_isa_name(j)) != 0);
    }
    CHECK(goss_isa_name(count) == NULL);
    CHECK(goss_isa_name(UINT32_MAX) == NULL);
}

static void memory_is_aligned_to_64_bytes(void)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *memory = goss_alloc(sizes[i]);
        CHECK(memory && (uintptr_t)memory % 64 == 0);
        if (memory) memset(memory, 1, sizes[i]);
        goss_free(memory);
    }
    goss_free(NULL);
}

static void impossible_sizes_give_null(void)
{
    CHECK(goss_alloc(SIZE_MAX) == NULL);
    CHECK(goss_alloc(SIZE_MAX - 64) == NULL);
}

const test_case about_tests[] = {
    TEST(the_version_is_three_numbers),
    TEST(instruction_sets_have_names_and_an_end),
    TEST(memory_is_aligned_to_64_bytes),
    TEST(impossible_sizes_give_null),
    {NULL, NULL},
};
