#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tiny_model.h"

static void metadata_comes_back(void)
{
    unsigned char *file = tiny_model_new();
    goss_model *model = NULL;
    const char *key = NULL, *value = NULL;
    goss_error untouched = {.status = 77, .message = "untouched"};
    CHECK(goss_model_load(file, TINY_MODEL_BYTES, &model, &untouched) == GOSS_OK);
    CHECK(goss_model_metadata_count(model) == 1);
    CHECK(goss_model_metadata(model, 0, &key, &value, &untouched) == GOSS_OK);
    CHECK(key && strcmp(key, "labels") == 0);
    CHECK(value && strcmp(value, "cat\ndog") == 0);
    CHECK(untouched.status == 77 && strcmp(untouched.message, "untouched") == 0);

    CHECK_FAILS(goss_model_metadata(model, 1, &key, &value, &error), GOSS_INVALID_ARGUMENT, "1");
    CHECK_FAILS(goss_model_metadata(NULL, 0, &key, &value, &error), GOSS_INVALID_ARGUMENT, "");
    CHECK_FAILS(goss_model_metadata(model, 0, NULL, &value, &error), GOSS_INVALID_ARGUMENT, "");
    CHECK_FAILS(goss_model_metadata(model, 0, &key, NULL, &error), GOSS_INVALID_ARGUMENT, "");
    goss_model_destroy(model);
    goss_free(file);
}

static void null_pointers_are_refused(void)
{
    unsigned char *file = tiny_model_new();
    goss_model *model = (goss_model *)(void *)file; /* anything but NULL */
    CHECK_FAILS(goss_model_load(NULL, TINY_MODEL_BYTES, &model, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK(model == NULL);
    CHECK_FAILS(goss_model_load(file, TINY_MODEL_BYTES, NULL, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK(goss_model_load(NULL, 0, &model, NULL) == GOSS_INVALID_ARGUMENT);
    goss_model_destroy(NULL);
    goss_free(file);
}

/* In memory of exactly that size, so that a sanitizer sees a read behind its end. */
static void a_file_cut_anywhere_is_corrupt(void)
{
    unsigned char *file = tiny_model_new();
    for (size_t bytes = 0; bytes < TINY_MODEL_BYTES; bytes++) {
        unsigned char *cut = malloc(bytes ? bytes : 1);
        goss_model *model = NULL;
        CHECK(cut != NULL);
        if (!cut) break;
        memcpy(cut, file, bytes);
        CHECK_FAILS(goss_model_load(cut, bytes, &model, &error), GOSS_MODEL_CORRUPT, "");
        CHECK(model == NULL);
        free(cut);
    }
    goss_free(file);
}

static void a_flipped_bit_anywhere_is_noticed(void)
{
    unsigned char *file = tiny_model_new();
    for (size_t bit = 0; bit < 8 * (size_t)TINY_MODEL_BYTES; bit++) {
        goss_model *model = NULL;
        goss_error error = {.status = 0};
        file[bit / 8] ^= (unsigned char)(1u << bit % 8);
        const goss_status status = goss_model_load(file, TINY_MODEL_BYTES, &model, &error);
        const int in_version = bit / 8 >= 4 && bit / 8 < 8;
        CHECK(status == GOSS_MODEL_CORRUPT || (in_version && status == GOSS_UNSUPPORTED));
        CHECK(error.message[0] && model == NULL);
        file[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    goss_free(file);
}

const test_case model_tests[] = {
    TEST(metadata_comes_back),
    TEST(null_pointers_are_refused),
    TEST(a_file_cut_anywhere_is_corrupt),
    TEST(a_flipped_bit_anywhere_is_noticed),
    {NULL, NULL},
};
