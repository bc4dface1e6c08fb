#include "pack.h"

#include <string.h>

#include "checked.h"
#include "error.h"

/* Remainders modulo the stride that kernel positions can have. */
static uint32_t phase_count(uint32_t kernel, uint32_t dilation, uint32_t stride)
{
    const uint64_t reach = (uint64_t)(kernel - 1) * dilation + 1;
    if (dilation % stride == 0) return 1;
    return reach < stride ? (uint32_t)reach : stride;
}

goss_status goss_pack_plan(const goss_layer *layer, const goss_conv *conv, goss_pack *pack, goss_error *error)
{
    *pack = (goss_pack){
        .stride_y = conv->stride_y,
        .stride_x = conv->stride_x,
        .pad_top = conv->pad_top,
        .pad_left = conv->pad_left,
        .in_y = conv->in_y,
        .in_x = conv->in_x,
        .out_y = conv->out_y,
        .out_x = conv->out_x,
        .phases_y = phase_count(conv->kernel_y, conv->dilation_y, conv->stride_y),
        .phases_x = phase_count(conv->kernel_x, conv->dilation_x, conv->stride_x),
        .rows = conv->out_y + (size_t)(conv->kernel_y - 1) * conv->dilation_y / conv->stride_y,
        .columns = conv->out_x + (size_t)(conv->kernel_x - 1) * conv->dilation_x / conv->stride_x,
    };
    size_t floats = 0;
    if (!checked_multiply(pack->rows, pack->columns, &floats) ||
        !checked_multiply(floats, (size_t)pack->phases_y * pack->phases_x, &floats) ||
        !checked_add(floats, pack->columns - pack->out_x + 16, &floats) ||
        !checked_align_up(floats, 16, &pack->plane_floats) || pack->plane_floats > UINT32_MAX / sizeof(float))
        return goss_fail(error, GOSS_UNSUPPORTED, "node '%.60s' (conv): a padded plane is larger than 4 GiB",
                         layer->name);
    return GOSS_OK;
}

size_t goss_pack_tap(const goss_pack *pack, const goss_conv *conv, uint32_t ky, uint32_t kx)
{
    const size_t y = (size_t)ky * conv->dilation_y, x = (size_t)kx * conv->dilation_x;
    const size_t phase = y % pack->stride_y * pack->phases_x + x % pack->stride_x;
    return phase * pack->rows * pack->columns + y / pack->stride_y * pack->columns + x / pack->stride_x;
}

/* The first and last + 1 of `count` positions p with 0 <= p * stride + phase - pad < size. */
static void inside(size_t count, uint32_t stride, uint32_t phase, uint32_t pad, uint32_t size, size_t *first,
                   size_t *end)
{
    const size_t before = pad > phase ? (pad - phase + stride - 1) / stride : 0;
    const size_t room = (size_t)size + pad;
    const size_t after = room > phase ? (room - phase + stride - 1) / stride : 0;
    *first = before < count ? before : count;
    *end = after < *first ? *first : after < count ? after : count;
}

static void pack_row(const goss_pack *pack, uint32_t phase_x, const float *x, float *packed)
{
    size_t first = 0, end = 0;
    inside(pack->columns, pack->stride_x, phase_x, pack->pad_left, pack->in_x, &first, &end);
    memset(packed, 0, first * sizeof *packed);
    if (first < end) {
        const float *source = x + (first * pack->stride_x + phase_x - pack->pad_left);
        if (pack->stride_x == 1)
            memcpy(packed + first, source, (end - first) * sizeof *packed);
        else
            for (size_t c = first; c < end; c++, source += pack->stride_x) packed[c] = *source;
    }
    memset(packed + end, 0, (pack->columns - end) * sizeof *packed);
}

void goss_pack_plane(const goss_pack *pack, const float *x, float *packed)
{
    for (uint32_t phase_y = 0; phase_y < pack->phases_y; phase_y++) {
        size_t first = 0, end = 0;
        inside(pack->rows, pack->stride_y, phase_y, pack->pad_top, pack->in_y, &first, &end);
        for (uint32_t phase_x = 0; phase_x < pack->phases_x; phase_x++) {
            for (size_t row = 0; row < pack->rows; row++, packed += pack->columns) {
                if (row < first || row >= end)
                    memset(packed, 0, pack->columns * sizeof *packed);
                else
                    pack_row(pack, phase_x, x + (row * pack->stride_y + phase_y - pack->pad_top) * pack->in_x, packed);
            }
        }
    }
}

void goss_unpack_rows(const goss_pack *pack, const float *packed, size_t rows, float *y)
{
    for (size_t row = 0; row < rows; row++, packed += pack->columns, y += pack->out_x)
        memcpy(y, packed, pack->out_x * sizeof *y);
}
