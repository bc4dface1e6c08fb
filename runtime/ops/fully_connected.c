/* Fully connected layer: a (sparse) matrix times each image's vector. Many images are turned into planes, one for each
 * of their numbers, and back: then every weight that is read serves all of them, as in a pointwise convolution. */
#include <stdio.h>

#include "pool.h"
#include "quantized.h"
#include "spmm.h"

enum {
    TASKS_PER_THREAD = 2,
    TASK_WEIGHTS = 1 << 14, /* fewer are computed sooner than another thread hears of them */
    MANY_IMAGES = 8,
    PART_BYTES = 256 * 1024,
    MOST_PLANES = 1 << 18, /* more would not stay near */
    PLANE_IMAGES = 64,     /* that one task turns: a multiple of every kernel's tile */
};

typedef struct fully_connected_state {
    goss_spmm spmm;
    size_t task_floats; /* of scratch: planes of x and y */
    uint32_t words[];
} fully_connected_state;

/* One part of the rows times one image. */
static void run_task(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const fully_connected_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t image = index / state->spmm.parts;
    (void)thread;
    goss_spmm_run_part(&state->spmm.part[index % state->spmm.parts], x->data + image * x->planes, NULL,
                       y->data + image * y->planes, 1, 1);
}

/* Some images through all of the rows. */
static void run_planes(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const fully_connected_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t lanes = layer->kernels->lanes, first = index * PLANE_IMAGES, left = x->images - first;
    const size_t images = left < PLANE_IMAGES ? left : PLANE_IMAGES;
    float *x_planes = (float *)(void *)layer->scratch + thread * state->task_floats;
    float *y_planes = x_planes + x->channels * PLANE_IMAGES;
    layer->kernels->transpose_f32(&(goss_transpose_f32_args){.x = x->data + first * x->channels,
                                                             .y = x_planes,
                                                             .rows = images,
                                                             .columns = x->channels,
                                                             .x_stride = x->channels,
                                                             .y_stride = PLANE_IMAGES});
    goss_spmm_run(&state->spmm, x_planes, y_planes, PLANE_IMAGES, (images + lanes - 1) / lanes * lanes);
    layer->kernels->transpose_f32(&(goss_transpose_f32_args){.x = y_planes,
                                                             .y = y->data + first * y->channels,
                                                             .rows = y->channels,
                                                             .columns = images,
                                                             .x_stride = PLANE_IMAGES,
                                                             .y_stride = y->channels});
}

static void run_many(const goss_layer *layer)
{
    goss_pool_run(layer->pool, (layer->output->images + PLANE_IMAGES - 1) / PLANE_IMAGES, run_planes, layer);
}

static void run(const goss_layer *layer)
{
    const fully_connected_state *state = layer->state;
    goss_pool_run(layer->pool, layer->output->images * state->spmm.parts, run_task, layer);
}

static size_t cuts(const goss_layer *layer, const goss_weights *weights)
{
    const size_t most = weights->elements / TASK_WEIGHTS;
    size_t tasks = layer->threads > 1 ? layer->threads * TASKS_PER_THREAD : 1;
    if (tasks > GOSS_SPMM_CUTS) tasks = GOSS_SPMM_CUTS;
    return tasks < most ? tasks : most > 0 ? most : 1;
}

/* Parts that stay in a second-level cache while all images of a task go by. */
static size_t cached_cuts(const goss_weights *weights)
{
    const size_t most = weights->elements * sizeof(float) / PART_BYTES + 1;
    return most < GOSS_SPMM_CUTS ? most : GOSS_SPMM_CUTS;
}

static goss_status infer_shape(goss_layer *layer, const goss_weights *weights, goss_error *error)
{
    const goss_value *x = layer->inputs[0];
    if (x->rank != 2 || x->channels != layer->weight_dims[1][1])
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT,
                               "weights take %u channels, '%.60s' has rank %u with %zu channels",
                               layer->weight_dims[1][1], x->name, x->rank, x->channels);
    const uint32_t dims[2] = {x->dims[0], (uint32_t)weights->rows};
    return goss_value_set_shape(layer->output, 2, dims, layer->kernels->lanes, error);
}

static goss_status check(const goss_layer *layer, goss_error *error)
{
    const bool quantized = goss_layer_is_quantized(layer);
    goss_status status = quantized ? GOSS_OK : goss_layer_need_f32(layer, 1, error);
    if (!status)
        status =
            quantized ? goss_layer_need_i8_weights(layer, 1, 2, error) : goss_layer_need_weights(layer, 1, 2, error);
    return status ? status : goss_layer_need_bias(layer, 2, layer->weights[1]->rows, error);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const goss_weights *weights = layer->weights[1];
    goss_spmm_problem problem = {.weights = weights, .bias = layer->weights[2]};
    goss_status status = check(layer, error);
    if (!status) status = goss_layer_clamp(layer, 0, &problem.min, &problem.max, error);
    if (!status) status = infer_shape(layer, weights, error);
    if (status) return status;

    const size_t words = goss_spmm_words(weights);
    status = goss_layer_allocate_state(layer, sizeof(fully_connected_state) + words * sizeof(uint32_t), error);
    if (status) return status;
    fully_connected_state *state = layer->state;
    const bool many = !goss_layer_is_quantized(layer) && layer->output->images >= MANY_IMAGES &&
                      weights->columns + weights->rows <= MOST_PLANES;
    const size_t plane = many ? PLANE_IMAGES : 1;
    uint32_t *column_offset = goss_spmm_column_offsets(weights, state->words);
    for (size_t c = 0; c < weights->columns; c++) column_offset[c] = (uint32_t)(c * plane * sizeof(float));
    problem.fully_connected = !many;
    problem.cuts = many ? cached_cuts(weights) : cuts(layer, weights);
    state->task_floats = (weights->columns + weights->rows) * plane;

    layer->macs = (uint64_t)layer->output->images * weights->elements;
    layer->dense_macs = (uint64_t)layer->output->images * weights->all;
    layer->run = many ? run_many : run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "%s_%s", many ? "pointwise" : "fully_connected",
             goss_weights_pattern(weights));
    status = goss_spmm_plan(layer, &problem, state->words, &state->spmm, error);
    return status || !many ? status : goss_layer_need_scratch(layer, state->task_floats, error);
}

const goss_op goss_op_fully_connected = {
    .name = "fully_connected", .code = 2, .inputs = 3, .attributes = 2, .quantized = true, .plan = plan};
