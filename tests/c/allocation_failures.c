/* Loading a model and making a session when each allocation in turn fails. The linker puts the functions below in
 * place of calloc(): --wrap=calloc. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "tiny_model.h"

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

static size_t allocations_left = SIZE_MAX;

void *__wrap_calloc(size_t count, size_t bytes)
{
    if (allocations_left == 0) return NULL;
    allocations_left--;
    return __real_calloc(count, bytes);
}

/* Once `allocations` have succeeded, the rest fail. Returns whether that was enough. */
static bool succeeds_with(const unsigned char *file, size_t allocations)
{
    goss_model *model = NULL;
    goss_session *session = NULL;
    goss_error error = {.status = GOSS_OK};
    allocations_left = allocations;
    goss_status status = goss_model_load(file, TINY_MODEL_BYTES, &model, &error);
    if (!status) status = goss_session_create(model, NULL, &session, &error);
    allocations_left = SIZE_MAX;

    if (status &&
        (status != GOSS_OUT_OF_MEMORY || error.status != GOSS_OUT_OF_MEMORY || !error.message[0] || session)) {
        printf("FAIL allocation %zu: status %d, message '%s'\n", allocations, (int)status, error.message);
        exit(EXIT_FAILURE);
    }
    goss_session_destroy(session);
    goss_model_destroy(model);
    return status == GOSS_OK;
}

int main(void)
{
    enum { MORE_THAN_ENOUGH = 1000 };
    unsigned char *aligned = tiny_model_new(), *shifted = goss_alloc(TINY_MODEL_BYTES + 4);
    if (!shifted) return EXIT_FAILURE;
    for (size_t i = 0; i < TINY_MODEL_BYTES; i++) shifted[4 + i] = aligned[i];

    size_t needed = 0, needed_with_copy = 0;
    while (needed < MORE_THAN_ENOUGH && !succeeds_with(aligned, needed)) needed++;
    while (needed_with_copy < MORE_THAN_ENOUGH && !succeeds_with(shifted + 4, needed_with_copy)) needed_with_copy++;
    printf("%zu allocations failed in turn; %zu with a copy of the file\n", needed, needed_with_copy);
    goss_free(aligned);
    goss_free(shifted);
    return needed > 2 && needed_with_copy == needed + 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
