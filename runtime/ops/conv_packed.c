/* Convolution with any kernel, as weights x packed planes: each column of the weight matrix, one input channel at one
 * kernel position, is a plane of its own that begins at that position's offset. Threads take strips of output rows.
 * Interleaved pixels become such planes without a step between. Where rows are not whole vectors, a strip goes through
 * a small buffer that has room for packing's surplus columns. */
#include <stdio.h>

#include "checked.h"
#include "conv.h"
#include "memory.h"
#include "pack.h"
#include "pool.h"
#include "spmm.h"

enum {
    STRIP_PIXELS = 256,
    ROOM = 16, /* floats: the widest vector */
};

typedef struct packed_state {
    goss_pack pack;
    size_t strip_rows, strip_stride, strips;
    size_t planes;              /* of the input; channels, where it is interleaved pixels */
    const float *normalization; /* [2][channels], where the input is interleaved pixels; or NULL */
    size_t row_floats;          /* of a row of one channel of such pixels */
    bool whole_rows;            /* output rows are whole vectors: written where they belong, without a strip */
    goss_spmm spmm;
    uint32_t words[];
} packed_state;

/* What the tasks of one image share. */
typedef struct packed_run {
    const goss_layer *layer;
    const packed_state *state;
    const float *x; /* the image's planes */
    float *y, *packed, *strips, *pixels;
} packed_run;

static void pack_plane(const void *context, size_t plane, size_t thread)
{
    const packed_run *r = context;
    (void)thread;
    goss_pack_plane(r->layer, &r->state->pack, r->x + plane * r->layer->inputs[0]->stride,
                    r->packed + plane * r->state->pack.plane_floats);
}

static void pack_pixels(const void *context, size_t phase_y, size_t thread)
{
    const packed_run *r = context;
    const packed_state *state = r->state;
    const goss_value *x = r->layer->inputs[0];
    goss_pack_pixels_f32_args args = {
        .pack = state->pack.args,
        .phase_y = phase_y,
        .x = r->x,
        .element_bytes = x->element_bytes,
        .x_stride = x->stride,
        .channels = state->planes,
        .plane_floats = state->pack.plane_floats,
        .mean = state->normalization,
        .scale = state->normalization + state->planes,
        .row = r->pixels + thread * (state->planes * state->row_floats + ROOM),
        .row_floats = state->row_floats,
    };
    args.pack.packed = r->packed;
    r->layer->kernels->pack_pixels_f32(&args);
}

static void run_strip(const void *context, size_t index, size_t thread)
{
    const packed_run *r = context;
    const packed_state *state = r->state;
    const goss_pack *pack = &state->pack;
    const goss_value *y = r->layer->output;
    const size_t row = index * state->strip_rows, left = pack->out_y - row, lanes = r->layer->kernels->lanes;
    const size_t rows = left < state->strip_rows ? left : state->strip_rows;
    if (state->whole_rows) {
        for (size_t i = row; i < row + rows; i++)
            goss_spmm_run(&state->spmm, r->packed + i * pack->args.columns, r->y + i * pack->out_x, y->stride,
                          pack->out_x);
        return;
    }
    const size_t pixels = (rows * pack->args.columns + lanes - 1) / lanes * lanes;
    float *strip = r->strips + thread * y->planes * state->strip_stride;

    goss_spmm_run(&state->spmm, r->packed + row * pack->args.columns, strip, state->strip_stride, pixels);
    for (size_t plane = 0; plane < y->planes; plane++)
        goss_unpack_rows(r->layer, pack, strip + plane * state->strip_stride, rows,
                         r->y + plane * y->stride + row * pack->out_x);
}

static void run(const goss_layer *layer)
{
    const packed_state *state = layer->state;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    const size_t plane_element = x->dtype == GOSS_DTYPE_U8 ? 1 : sizeof(float);
    packed_run r = {.layer = layer, .state = state, .packed = (float *)(void *)layer->scratch};
    r.strips = r.packed + state->planes * state->pack.plane_floats;
    r.pixels = r.strips + state->strips * y->planes * state->strip_stride;

    for (size_t image = 0; image < x->images; image++) {
        r.x = (const float *)(const void *)((const char *)x->data + image * x->planes * x->stride * plane_element);
        r.y = y->data + image * y->planes * y->stride;
        if (state->normalization)
            goss_pool_run(layer->pool, state->pack.args.phases_y, pack_pixels, &r);
        else
            goss_pool_run(layer->pool, x->planes, pack_plane, &r);
        goss_pool_run(layer->pool, (state->pack.out_y + state->strip_rows - 1) / state->strip_rows, run_strip, &r);
    }
}

static goss_status plan_scratch(goss_layer *layer, const goss_conv *conv, packed_state *state, goss_error *error)
{
    const goss_pack *pack = &state->pack;
    size_t planes = 0, strip = 0, pixels = 0, floats = 0;

    state->strip_rows = pack->args.columns >= STRIP_PIXELS ? 1 : STRIP_PIXELS / pack->args.columns;
    if (state->strip_rows > pack->out_y) state->strip_rows = pack->out_y;
    state->whole_rows = pack->out_x % layer->kernels->lanes == 0;
    state->strips = state->whole_rows ? 0 : layer->threads;
    if (!checked_align_up(state->strip_rows * pack->args.columns, layer->kernels->lanes, &state->strip_stride) ||
        !checked_multiply(state->planes, pack->plane_floats, &planes) || planes > UINT32_MAX / sizeof(float) ||
        !checked_multiply(layer->output->planes, state->strip_stride, &strip) ||
        !checked_multiply(strip, state->strips, &strip) || !checked_add(planes, strip, &floats) ||
        !checked_align_up(conv->in_x, ROOM, &state->row_floats) ||
        !checked_multiply(state->row_floats, state->planes, &pixels) || !checked_add(pixels, ROOM, &pixels) ||
        !checked_multiply(pixels, state->normalization ? layer->threads : 0, &pixels) ||
        !checked_add(floats, pixels, &floats) || !checked_multiply(floats, sizeof(float), &layer->scratch_bytes))
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "needs more than 4 GiB of scratch");
    return GOSS_OK;
}

goss_status goss_conv_packed_plan(goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const size_t words = goss_spmm_words(conv->weights);
    goss_status status = goss_layer_allocate_state(layer, sizeof(packed_state) + words * sizeof(uint32_t), error);
    if (status) return status;

    packed_state *state = layer->state;
    state->planes = conv->normalization ? conv->channels : conv->x->planes;
    state->normalization = conv->normalization ? conv->normalization->values : NULL;
    status = goss_pack_plan(layer, conv, &state->pack, error);
    if (!status) status = plan_scratch(layer, conv, state, error);
    if (status) return status;

    uint32_t *column = goss_spmm_column_offsets(conv->weights, state->words);
    for (size_t plane = 0; plane < state->planes; plane++)
        for (uint32_t ky = 0; ky < conv->kernel_y; ky++)
            for (uint32_t kx = 0; kx < conv->kernel_x; kx++)
                *column++ = (uint32_t)((plane * state->pack.plane_floats + goss_pack_tap(&state->pack, conv, ky, kx)) *
                                       sizeof(float));
    const goss_spmm_problem problem = {
        .weights = conv->weights,
        .bias = conv->bias,
        .min = conv->min,
        .max = conv->max,
        .activation = conv->activation.kernel,
        .cuts = 1,
    };
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "packed%s + pointwise_%s",
             conv->normalization ? " pixels" : "", goss_weights_pattern(conv->weights));
    return goss_spmm_plan(layer, &problem, state->words, &state->spmm, error);
}
