/* Two or three operands, element by element, as NumPy broadcasts them. What is no common arithmetic has no kernel and
 * goes number by number. */
#include <math.h>
#include <stdio.h>

#include "axes.h"

typedef float plain_function(float, float);

typedef struct binary_state {
    goss_axes axes;
    goss_binary_kernel *kernel; /* or NULL */
    plain_function *function;
} binary_state;

static float power(float a, float b) { return powf(a, b); }
static float remainder_like_dividend(float a, float b) { return fmodf(a, b); }
static float remainder_like_divisor(float a, float b)
{
    const float rest = fmodf(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
static float less(float a, float b) { return a < b; }
static float less_or_equal(float a, float b) { return a <= b; }
static float equal(float a, float b) { return a == b; }

/* FORMAT.md section 8, operator 20. */
static const struct {
    const char *name;
    plain_function *function; /* NULL: the kernel of that number */
} kinds[] = {
    {"add", NULL},
    {"sub", NULL},
    {"mul", NULL},
    {"div", NULL},
    {"min", NULL},
    {"max", NULL},
    {"pow", power},
    {"fmod", remainder_like_dividend},
    {"mod", remainder_like_divisor},
    {"less", less},
    {"less_or_equal", less_or_equal},
    {"equal", equal},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void binary_row(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const binary_state *state = layer->state;
    const uint32_t last = state->axes.rank - 1;
    const goss_binary_f32_args args = {
        .a = goss_layer_operand_data(layer, 0) + offsets[1],
        .b = goss_layer_operand_data(layer, 1) + offsets[2],
        .y = layer->output->data + offsets[0],
        .count = count,
        .a_step = state->axes.strides[1][last],
        .b_step = state->axes.strides[2][last],
    };
    if (state->kernel) {
        state->kernel(&args);
        return;
    }
    for (size_t i = 0; i < count; i++) args.y[i] = state->function(args.a[i * args.a_step], args.b[i * args.b_step]);
}

static void run_binary(const goss_layer *layer)
{
    const goss_axes *axes = &((const binary_state *)layer->state)->axes;
    goss_axes_run(layer, axes, axes->dims[axes->rank - 1], binary_row);
}

static goss_status plan_binary(goss_layer *layer, goss_error *error)
{
    const uint32_t kind = goss_layer_u32(layer, 0);
    if (kind >= KINDS)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "kind %u; this build knows 0 to %d", kind, KINDS - 1);
    goss_status status = goss_layer_allocate_state(layer, sizeof(binary_state), error);
    if (status) return status;
    binary_state *state = layer->state;
    status = goss_axes_broadcast(layer, 2, &state->axes, error);
    if (status) return status;
    state->function = kinds[kind].function;
    state->kernel = state->function ? NULL : layer->kernels->binary_f32[kind];
    layer->run = run_binary;
    layer->in_place = goss_axes_in_place(layer, 2);
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s%s", kinds[kind].name, state->kernel ? "_f32" : "");
    return GOSS_OK;
}

static void select_row(const goss_layer *layer, const size_t *offsets, size_t count)
{
    const goss_axes *axes = layer->state;
    const uint32_t last = axes->rank - 1;
    const size_t test_step = axes->strides[1][last], a_step = axes->strides[2][last], b_step = axes->strides[3][last];
    const float *test = goss_layer_operand_data(layer, 0) + offsets[1];
    const float *a = goss_layer_operand_data(layer, 1) + offsets[2],
                *b = goss_layer_operand_data(layer, 2) + offsets[3];
    float *y = layer->output->data + offsets[0];
    for (size_t i = 0; i < count; i++) y[i] = test[i * test_step] != 0 ? a[i * a_step] : b[i * b_step];
}

static void run_select(const goss_layer *layer)
{
    const goss_axes *axes = layer->state;
    goss_axes_run(layer, axes, axes->dims[axes->rank - 1], select_row);
}

static goss_status plan_select(goss_layer *layer, goss_error *error)
{
    goss_status status = goss_layer_allocate_state(layer, sizeof(goss_axes), error);
    if (!status) status = goss_axes_broadcast(layer, 3, layer->state, error);
    if (status) return status;
    layer->run = run_select;
    layer->in_place = goss_axes_in_place(layer, 3);
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "select");
    return GOSS_OK;
}

const goss_op goss_op_binary = {
    .name = "binary", .code = 20, .inputs = 2, .attributes = 1, .infinite_constants = true, .plan = plan_binary};
const goss_op goss_op_select = {
    .name = "select", .code = 21, .inputs = 3, .attributes = 0, .infinite_constants = true, .plan = plan_select};
