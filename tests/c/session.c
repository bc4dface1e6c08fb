#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tiny_model.h"

enum { X_BYTES = sizeof tiny_x, Y_BYTES = sizeof tiny_y };

/* The tiny model, a session of it, and memory to bind. */
typedef struct fixture {
    unsigned char *file;
    goss_model *model;
    goss_session *session;
    float x[TINY_INPUTS], y[TINY_OUTPUTS];
} fixture;

/* What no test can go on without. */
static void require(int holds, const char *what)
{
    if (holds) return;
    printf("  impossible: %s\n", what);
    exit(EXIT_FAILURE);
}

static void load(fixture *f, const void *file)
{
    goss_error error = {.status = GOSS_OK};
    const int done = goss_model_load(file, TINY_MODEL_BYTES, &f->model, &error) == GOSS_OK &&
                     goss_session_create(f->model, NULL, &f->session, &error) == GOSS_OK;
    require(done, error.message);
}

static void unload(fixture *f)
{
    goss_session_destroy(f->session);
    goss_model_destroy(f->model);
}

static fixture *fixture_new(void)
{
    fixture *f = calloc(1, sizeof *f);
    require(f != NULL, "memory for a test");
    f->file = tiny_model_new();
    load(f, f->file);
    memcpy(f->x, tiny_x, sizeof f->x);
    return f;
}

static void fixture_free(fixture *f)
{
    unload(f);
    goss_free(f->file);
    free(f);
}

static void bind(fixture *f)
{
    CHECK(goss_session_bind_input(f->session, 0, f->x, X_BYTES, NULL) == GOSS_OK);
    CHECK(goss_session_bind_output(f->session, 0, f->y, Y_BYTES, NULL) == GOSS_OK);
}

static int answer_is_right(const fixture *f) { return f->y[0] == tiny_y[0] && f->y[1] == tiny_y[1]; }

static void a_model_gives_the_right_answer(void)
{
    fixture *f = fixture_new();
    bind(f);
    CHECK(goss_session_run(f->session, NULL) == GOSS_OK);
    CHECK(answer_is_right(f));
    fixture_free(f);
}

static void every_instruction_set_gives_the_right_answer(void)
{
    fixture *f = fixture_new();
    for (uint32_t i = 0; i < goss_isa_count(); i++) {
        const goss_options options = {.isa = goss_isa_name(i)};
        goss_session_info info;
        goss_session_destroy(f->session);
        CHECK(goss_session_create(f->model, &options, &f->session, NULL) == GOSS_OK);
        CHECK(goss_session_describe(f->session, &info, NULL) == GOSS_OK);
        CHECK(strcmp(info.isa, goss_isa_name(i)) == 0);
        memset(f->y, 0, sizeof f->y);
        bind(f);
        CHECK(goss_session_run(f->session, NULL) == GOSS_OK);
        CHECK(answer_is_right(f));
    }
    fixture_free(f);
}

static void a_file_at_any_address_gives_the_right_answer(void)
{
    fixture *f = fixture_new();
    unsigned char *moved = goss_alloc(TINY_MODEL_BYTES + 1);
    require(moved != NULL, "memory for a test");
    memcpy(moved + 1, f->file, TINY_MODEL_BYTES);
    unload(f);
    load(f, moved + 1);
    bind(f);
    CHECK(goss_session_run(f->session, NULL) == GOSS_OK);
    CHECK(answer_is_right(f));
    fixture_free(f);
    goss_free(moved);
}

static void sessions_of_one_model_do_not_disturb_each_other(void)
{
    fixture *f = fixture_new();
    goss_session *other = NULL;
    const float other_x[TINY_INPUTS] = {0, 0, 0};
    float other_y[TINY_OUTPUTS] = {-1, -1};
    CHECK(goss_session_create(f->model, NULL, &other, NULL) == GOSS_OK);
    bind(f);
    CHECK(goss_session_bind_input(other, 0, other_x, X_BYTES, NULL) == GOSS_OK);
    CHECK(goss_session_bind_output(other, 0, other_y, Y_BYTES, NULL) == GOSS_OK);
    CHECK(goss_session_run(f->session, NULL) == GOSS_OK);
    CHECK(goss_session_run(other, NULL) == GOSS_OK);
    CHECK(answer_is_right(f));
    CHECK(other_y[0] == 0.5f && other_y[1] == 0);
    goss_session_destroy(other);
    fixture_free(f);
}

static void a_session_describes_itself(void)
{
    fixture *f = fixture_new();
    goss_session_info info;
    goss_tensor_info input, output;
    goss_layer_info layer;
    CHECK(goss_session_describe(f->session, &info, NULL) == GOSS_OK);
    CHECK(info.inputs == 1 && info.outputs == 1 && info.layers == 1 && info.threads >= 1);
    CHECK(info.macs == 6 && info.dense_macs == 6 && info.weight_bytes >= 32);
    CHECK(info.largest_live_bytes <= info.arena_bytes && info.arena_bytes <= info.tensor_bytes);
    CHECK(strcmp(info.isa, goss_isa_name(0)) == 0 && strcmp(info.notes, "") == 0);

    CHECK(goss_session_input(f->session, 0, &input, NULL) == GOSS_OK);
    CHECK(strcmp(input.name, "input") == 0 && input.dtype == GOSS_DTYPE_F32 && input.bytes == X_BYTES);
    CHECK(input.rank == 2 && input.dims[0] == 1 && input.dims[1] == TINY_INPUTS);
    CHECK(goss_session_output(f->session, 0, &output, NULL) == GOSS_OK);
    CHECK(strcmp(output.name, "output") == 0 && output.dtype == GOSS_DTYPE_F32 && output.bytes == Y_BYTES);
    CHECK(output.rank == 2 && output.dims[0] == 1 && output.dims[1] == TINY_OUTPUTS);

    CHECK(goss_session_layer(f->session, 0, &layer, NULL) == GOSS_OK);
    CHECK(strcmp(layer.name, "dense") == 0 && strcmp(layer.op, "fully_connected") == 0);
    CHECK(layer.kernel && layer.kernel[0] && layer.reason && layer.reason[0]);
    CHECK(layer.macs == 6 && layer.dense_macs == 6 && layer.rank == 2 && layer.dims[1] == TINY_OUTPUTS);
    fixture_free(f);
}

static void threads_that_do_not_run_are_noted(void)
{
    fixture *f = fixture_new();
    const goss_options options = {.threads = 4000000000u};
    goss_session_info info;
    goss_session_destroy(f->session);
    CHECK(goss_session_create(f->model, &options, &f->session, NULL) == GOSS_OK);
    CHECK(goss_session_describe(f->session, &info, NULL) == GOSS_OK);
    CHECK(info.threads >= 1 && info.threads < options.threads && strstr(info.notes, "4000000000"));
    fixture_free(f);
}

static void null_pointers_are_refused(void)
{
    fixture *f = fixture_new();
    goss_session *session = f->session;
    CHECK_FAILS(goss_session_create(NULL, NULL, &session, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK(session == NULL);
    session = f->session;
    CHECK_FAILS(goss_session_create(f->model, NULL, NULL, &error), GOSS_INVALID_ARGUMENT, "NULL");

    goss_session_info info;
    goss_tensor_info tensor;
    goss_layer_info layer;
    CHECK_FAILS(goss_session_describe(NULL, &info, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_describe(session, NULL, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_input(NULL, 0, &tensor, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_input(session, 0, NULL, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_output(NULL, 0, &tensor, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_output(session, 0, NULL, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_layer(NULL, 0, &layer, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_layer(session, 0, NULL, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_bind_input(NULL, 0, f->x, X_BYTES, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_bind_input(session, 0, NULL, X_BYTES, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_bind_output(NULL, 0, f->y, Y_BYTES, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_bind_output(session, 0, NULL, Y_BYTES, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_session_run(NULL, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK(goss_session_run(NULL, NULL) == GOSS_INVALID_ARGUMENT);
    goss_session_destroy(NULL);
    fixture_free(f);
}

static void wrong_indices_are_refused_with_the_count(void)
{
    fixture *f = fixture_new();
    goss_tensor_info tensor;
    goss_layer_info layer;
    CHECK_FAILS(goss_session_input(f->session, 1, &tensor, &error), GOSS_INVALID_ARGUMENT, "has 1");
    CHECK_FAILS(goss_session_output(f->session, UINT32_MAX, &tensor, &error), GOSS_INVALID_ARGUMENT, "has 1");
    CHECK_FAILS(goss_session_layer(f->session, 1, &layer, &error), GOSS_INVALID_ARGUMENT, "has 1");
    CHECK_FAILS(goss_session_bind_input(f->session, 1, f->x, X_BYTES, &error), GOSS_INVALID_ARGUMENT, "has 1");
    CHECK_FAILS(goss_session_bind_output(f->session, 1, f->y, Y_BYTES, &error), GOSS_INVALID_ARGUMENT, "has 1");
    fixture_free(f);
}

static void a_refused_binding_leaves_the_former_one(void)
{
    fixture *f = fixture_new();
    float other[TINY_INPUTS + 1] = {0};
    bind(f);
    CHECK_FAILS(goss_session_bind_input(f->session, 0, other, X_BYTES - 4, &error), GOSS_INVALID_ARGUMENT, "'input'");
    CHECK_FAILS(goss_session_bind_input(f->session, 0, other, X_BYTES + 4, &error), GOSS_INVALID_ARGUMENT, "12");
    CHECK_FAILS(goss_session_bind_input(f->session, 0, (char *)other + 1, X_BYTES, &error), GOSS_INVALID_ARGUMENT,
                "aligned");
    CHECK_FAILS(goss_session_bind_output(f->session, 0, other, 0, &error), GOSS_INVALID_ARGUMENT, "'output'");
    CHECK(goss_session_run(f->session, NULL) == GOSS_OK);
    CHECK(answer_is_right(f));
    fixture_free(f);
}

static void an_unknown_instruction_set_is_refused_with_a_list(void)
{
    fixture *f = fixture_new();
    goss_session *session = f->session;
    /* 1 + 2 n bytes: wherever the message is cut, it cuts a character. */
    static const char long_name[] = "x\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
                                    "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9";
    const goss_options unknown = {.isa = "mmx"}, empty = {.isa = ""}, cut = {.isa = long_name};
    CHECK_FAILS(goss_session_create(f->model, &unknown, &session, &error), GOSS_INVALID_ARGUMENT, "mmx");
    CHECK(session == NULL);
    CHECK_FAILS(goss_session_create(f->model, &empty, &session, &error), GOSS_INVALID_ARGUMENT, goss_isa_name(0));
    CHECK_FAILS(goss_session_create(f->model, &cut, &session, &error), GOSS_INVALID_ARGUMENT, goss_isa_name(0));
    fixture_free(f);
}

static void running_unbound_names_the_tensor_and_touches_no_output(void)
{
    fixture *f = fixture_new();
    CHECK_FAILS(goss_session_run(f->session, &error), GOSS_INVALID_ARGUMENT, "'input'");
    CHECK(goss_session_bind_input(f->session, 0, f->x, X_BYTES, NULL) == GOSS_OK);
    CHECK_FAILS(goss_session_run(f->session, &error), GOSS_INVALID_ARGUMENT, "'output'");
    CHECK(f->y[0] == 0 && f->y[1] == 0);
    bind(f);
    CHECK(goss_session_run(f->session, NULL) == GOSS_OK);
    CHECK(answer_is_right(f));
    fixture_free(f);
}

static void nan_names_the_element_and_touches_no_output(void)
{
    fixture *f = fixture_new();
    bind(f);
    for (size_t i = 0; i < TINY_INPUTS; i++) {
        const char element[] = {'e', 'l', 'e', 'm', 'e', 'n', 't', ' ', (char)('0' + i), 0};
        f->x[i] = NAN;
        CHECK_FAILS(goss_session_run(f->session, &error), GOSS_INVALID_ARGUMENT, element);
        CHECK_FAILS(goss_session_run(f->session, &error), GOSS_INVALID_ARGUMENT, "'input'");
        CHECK(f->y[0] == 0 && f->y[1] == 0);
        f->x[i] = tiny_x[i];
    }
    CHECK(goss_session_run(f->session, NULL) == GOSS_OK);
    CHECK(answer_is_right(f));
    fixture_free(f);
}

const test_case session_tests[] = {
    TEST(a_model_gives_the_right_answer),
    TEST(every_instruction_set_gives_the_right_answer),
    TEST(a_file_at_any_address_gives_the_right_answer),
    TEST(sessions_of_one_model_do_not_disturb_each_other),
    TEST(a_session_describes_itself),
    TEST(threads_that_do_not_run_are_noted),
    TEST(null_pointers_are_refused),
    TEST(wrong_indices_are_refused_with_the_count),
    TEST(a_refused_binding_leaves_the_former_one),
    TEST(an_unknown_instruction_set_is_refused_with_a_list),
    TEST(running_unbound_names_the_tensor_and_touches_no_output),
    TEST(nan_names_the_element_and_touches_no_output),
    {NULL, NULL},
};
