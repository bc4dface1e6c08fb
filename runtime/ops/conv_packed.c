/* Convolution with any kernel, as weights x packed planes: each column of the weight matrix, one input channel at one
 * kernel position, is a plane of its own that begins at that position's offset. A strip of output rows at a time, so
 * that the surplus columns of packing live in a small buffer. */
#include <stdio.h>

#include "checked.h"
#include "conv.h"
#include "error.h"
#include "memory.h"
#include "pack.h"
#include "spmm.h"

enum { STRIP_PIXELS = 256 };

typedef struct packed_state {
    goss_pack pack;
    size_t strip_rows, strip_stride;
    goss_spmm spmm;
    uint32_t offsets[];
} packed_state;

static void run(const goss_layer *layer)
{
    const packed_state *state = layer->state;
    const goss_pack *pack = &state->pack;
    const goss_value *x = layer->inputs[0], *y = layer->output;
    float *packed = (float *)(void *)layer->scratch, *strip = packed + x->channels * pack->plane_floats;

    for (size_t image = 0; image < x->images; image++) {
        for (size_t c = 0; c < x->channels; c++)
            goss_pack_plane(pack, x->data + (image * x->channels + c) * x->stride, packed + c * pack->plane_floats);

        for (size_t row = 0; row < pack->out_y; row += state->strip_rows) {
            const size_t left = pack->out_y - row, rows = left < state->strip_rows ? left : state->strip_rows;
            const size_t lanes = layer->kernels->lanes, pixels = (rows * pack->columns + lanes - 1) / lanes * lanes;
            goss_spmm_run(&state->spmm, packed + row * pack->columns, strip, state->strip_stride, pixels);
            for (size_t c = 0; c < y->channels; c++)
                goss_unpack_rows(pack, strip + c * state->strip_stride, rows,
                                 y->data + (image * y->channels + c) * y->stride + row * pack->out_x);
        }
    }
}

static goss_status plan_scratch(goss_layer *layer, const goss_conv *conv, packed_state *state, goss_error *error)
{
    const goss_pack *pack = &state->pack;
    size_t planes = 0, strip = 0, floats = 0;

    state->strip_rows = pack->columns >= STRIP_PIXELS ? 1 : STRIP_PIXELS / pack->columns;
    if (state->strip_rows > pack->out_y) state->strip_rows = pack->out_y;
    if (!checked_align_up(state->strip_rows * pack->columns, layer->kernels->lanes, &state->strip_stride) ||
        !checked_multiply(conv->x->channels, pack->plane_floats, &planes) || planes > UINT32_MAX / sizeof(float) ||
        !checked_multiply(conv->weights->rows, state->strip_stride, &strip) || !checked_add(planes, strip, &floats) ||
        !checked_multiply(floats, sizeof(float), &layer->scratch_bytes))
        return goss_fail(error, GOSS_UNSUPPORTED, "node '%.60s' (conv): needs more than 4 GiB of scratch", layer->name);
    return GOSS_OK;
}

goss_status goss_conv_packed_plan(goss_layer *layer, const goss_conv *conv, goss_error *error)
{
    const size_t columns = conv->weights->columns, offsets = goss_spmm_offset_count(conv->weights);
    goss_status status =
        goss_layer_allocate_state(layer, sizeof(packed_state) + (offsets + columns) * sizeof(uint32_t), error);
    if (status) return status;

    packed_state *state = layer->state;
    status = goss_pack_plan(layer, conv, &state->pack, error);
    if (!status) status = plan_scratch(layer, conv, state, error);
    if (status) return status;

    uint32_t *column_offset = state->offsets + offsets, *column = column_offset;
    for (size_t c = 0; c < conv->x->channels; c++)
        for (uint32_t ky = 0; ky < conv->kernel_y; ky++)
            for (uint32_t kx = 0; kx < conv->kernel_x; kx++)
                *column++ = (uint32_t)((c * state->pack.plane_floats + goss_pack_tap(&state->pack, conv, ky, kx)) *
                                       sizeof(float));
    goss_spmm_plan(layer, conv->weights, conv->bias, conv->min, conv->max, column_offset, state->offsets, &state->spmm);

    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "packed + pointwise_f32_%ux1", conv->weights->block_rows);
    return GOSS_OK;
}
