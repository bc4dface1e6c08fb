/* Softmax over the channels of each image. */
#include <stdio.h>

#include "op.h"

enum { TASK_FLOATS = 1 << 12 };

/* As many images as are worth a task. */
static size_t images_each(const goss_layer *layer)
{
    const size_t channels = layer->output->channels;
    return channels < TASK_FLOATS ? TASK_FLOATS / channels : 1;
}

static void run_task(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t each = images_each(layer), first = index * each;
    (void)thread;
    for (size_t image = first; image < x->images && image < first + each; image++)
        layer->kernels->softmax_f32(&(goss_softmax_f32_args){
            .x = x->data + image * x->channels,
            .y = y->data + image * y->channels,
            .count = x->channels,
        });
}

static void run(const goss_layer *layer)
{
    const size_t each = images_each(layer);
    goss_pool_run(layer->pool, (layer->output->images + each - 1) / each, run_task, layer);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    const goss_status status = goss_layer_need_value(layer, 0, error);
    if (status) return status;
    const goss_value *x = layer->inputs[0];
    if (x->rank != 2) return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "rank %u, 2 expected", x->rank);
    layer->run = run;
    layer->in_place = true;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "softmax_f32");
    return goss_value_set_shape(layer->output, 2, x->dims, layer->kernels->lanes, error);
}

const goss_op goss_op_softmax = {.name = "softmax", .code = 6, .inputs = 1, .attributes = 0, .plan = plan};
