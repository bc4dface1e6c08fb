/* Fully connected layer: a (sparse) matrix times each image's vector. */
#include <stdio.h>

#include "error.h"
#include "pool.h"
#include "quantized.h"
#include "spmm.h"

enum {
    TASKS_PER_THREAD = 2,
    TASK_WEIGHTS = 1 << 14, /* fewer are computed sooner than another thread hears of them */
};

typedef struct fully_connected_state {
    goss_spmm spmm;
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

static goss_status infer_shape(goss_layer *layer, const goss_weights *weights, goss_error *error)
{
    const goss_value *x = layer->inputs[0];
    if (x->rank != 2 || x->channels != layer->weight_dims[1][1])
        return goss_fail(
            error, GOSS_MODEL_CORRUPT,
            "node '%.60s' (fully_connected): weights take %u channels, '%.60s' has rank %u with %zu channels",
            layer->name, layer->weight_dims[1][1], x->name, x->rank, x->channels);
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
    goss_spmm_problem problem = {.fully_connected = true, .weights = weights, .bias = layer->weights[2]};
    goss_status status = check(layer, error);
    if (!status) status = goss_layer_clamp(layer, 0, &problem.min, &problem.max, error);
    if (!status) status = infer_shape(layer, weights, error);
    if (status) return status;

    const size_t words = goss_spmm_words(weights);
    status = goss_layer_allocate_state(layer, sizeof(fully_connected_state) + words * sizeof(uint32_t), error);
    if (status) return status;
    fully_connected_state *state = layer->state;
    uint32_t *column_offset = goss_spmm_column_offsets(weights, state->words);
    for (size_t c = 0; c < weights->columns; c++) column_offset[c] = (uint32_t)(c * sizeof(float));
    problem.cuts = cuts(layer, weights);

    layer->macs = (uint64_t)layer->output->images * weights->elements;
    layer->dense_macs = (uint64_t)layer->output->images * weights->all;
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "fully_connected_%s", goss_weights_pattern(weights));
    return goss_spmm_plan(layer, &problem, state->words, &state->spmm, error);
}

const goss_op goss_op_fully_connected = {
    .name = "fully_connected", .code = 2, .inputs = 3, .attributes = 2, .quantized = true, .plan = plan};
