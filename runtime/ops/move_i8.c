#include "move_i8.h"

#include <math.h>
#include <stdio.h>

#include "round_i8.h"

enum { NUMBERS = GOSS_U7_MAX + 1 };

typedef struct move_state {
    uint8_t table[GOSS_NODE_MAX_INPUTS][NUMBERS]; /* what numbers of each input become */
    goss_source source[];                         /* [channels of the output] */
} move_state;

/* Whether the 4 channels of a quad are those of a quad. */
static bool is_quad(const goss_source *source)
{
    for (uint32_t c = 0; c < GOSS_QUAD; c++)
        if (source[c].input != source->input || source[c].channel != source->channel + c) return false;
    return source->channel % GOSS_QUAD == 0;
}

/* One quad of the output. */
static void move_quad(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const move_state *state = layer->state;
    const goss_value *y = layer->output;
    const size_t image = index / y->planes, first = index % y->planes * GOSS_QUAD, left = y->channels - first;
    uint8_t *to = goss_bytes(y) + index * y->stride * GOSS_QUAD;
    const goss_source *source = state->source + first;
    (void)thread;
    if (y->rank == 4 && left >= GOSS_QUAD && is_quad(source)) {
        const goss_value *x = layer->inputs[source->input];
        layer->kernels->lookup_i8(&(goss_lookup_i8_args){
            .x = goss_bytes(x) + (image * x->planes + source->channel / GOSS_QUAD) * x->stride * GOSS_QUAD,
            .y = to,
            .count = y->stride,
            .table = state->table[source->input],
        });
        return;
    }
    for (size_t c = 0; c < GOSS_QUAD && c < left; c++) {
        const goss_value *x = layer->inputs[source[c].input];
        const size_t plane = image * x->planes + source[c].channel / GOSS_QUAD;
        const uint8_t *from = goss_bytes(x) + plane * x->stride * GOSS_QUAD + source[c].channel % GOSS_QUAD;
        for (size_t i = 0; i < y->pixels * GOSS_QUAD; i += GOSS_QUAD)
            to[i + c] = state->table[source[c].input][from[i] & GOSS_U7_MAX];
    }
}

static void run(const goss_layer *layer)
{
    goss_pool_run(layer->pool, layer->output->images * layer->output->planes, move_quad, layer);
}

goss_status goss_move_i8_plan(goss_layer *layer, goss_source_of *source_of, goss_error *error)
{
    const goss_value *y = layer->output;
    const goss_target_i8 target = goss_target_of(y, -INFINITY, INFINITY);
    goss_status status =
        goss_layer_allocate_state(layer, sizeof(move_state) + y->channels * sizeof(goss_source), error);
    if (status) return status;
    move_state *state = layer->state;
    for (size_t input = 0; input < GOSS_NODE_MAX_INPUTS && layer->inputs[input]; input++) {
        const goss_value *x = layer->inputs[input];
        float multiplier = 0;
        status = goss_layer_factor(layer, (double)x->scale, (double)y->scale, &multiplier, error);
        if (status) return status;
        for (int32_t q = 0; q < NUMBERS; q++)
            state->table[input][q] = round_i8((float)(q - x->zero_point) * multiplier, target);
    }
    for (size_t channel = 0; channel < y->channels; channel++) state->source[channel] = source_of(layer, channel);
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "copy_i8");
    return GOSS_OK;
}

/* ---- Other shapes ---------------------------------------------------------------------------------------- */

/* An element; they go on pixel by pixel, channel by channel, image by image. */
typedef struct place {
    const goss_value *value;
    size_t image, channel, pixel;
} place;

static uint8_t *at(const place *p)
{
    const size_t plane = p->image * p->value->planes + p->channel / GOSS_QUAD;
    return goss_bytes(p->value) + (plane * p->value->stride + p->pixel) * GOSS_QUAD + p->channel % GOSS_QUAD;
}

static void advance(place *p)
{
    if (++p->pixel < p->value->pixels) return;
    p->pixel = 0;
    if (++p->channel < p->value->channels) return;
    p->channel = 0;
    p->image++;
}

void goss_reshape_i8_run(const goss_layer *layer)
{
    place from = {.value = layer->inputs[0]}, to = {.value = layer->output};
    const size_t elements = from.value->images * from.value->channels * from.value->pixels;
    for (size_t i = 0; i < elements; i++, advance(&from), advance(&to)) *at(&to) = *at(&from);
}
