#include "pack.h"

#include "checked.h"

enum { VECTOR_ROOM = 16 }; /* floats: the widest vector */

/* Remainders modulo the stride that kernel positions can have. */
static uint32_t phase_count(uint32_t kernel, uint32_t dilation, uint32_t stride)
{
    const uint64_t reach = (uint64_t)(kernel - 1) * dilation + 1;
    if (dilation % stride == 0) return 1;
    return reach < stride ? (uint32_t)reach : stride;
}

goss_status goss_pack_plan(const goss_layer *layer, const goss_conv *conv, goss_pack *pack, goss_error *error)
{
    goss_pack_f32_args args = {
        .in_y = conv->in_y,
        .in_x = conv->in_x,
        .rows = conv->out_y + (size_t)(conv->kernel_y - 1) * conv->dilation_y / conv->stride_y,
        .columns = conv->out_x + (size_t)(conv->kernel_x - 1) * conv->dilation_x / conv->stride_x,
        .stride_y = conv->stride_y,
        .stride_x = conv->stride_x,
        .pad_top = conv->pad_top,
        .pad_left = conv->pad_left,
        .phases_y = phase_count(conv->kernel_y, conv->dilation_y, conv->stride_y),
        .phases_x = phase_count(conv->kernel_x, conv->dilation_x, conv->stride_x),
        .outside = goss_zero_of(conv->x),
    };
    *pack = (goss_pack){.out_y = conv->out_y, .out_x = conv->out_x};
    size_t floats = 0;
    if (!checked_multiply(args.rows, args.columns, &floats) || !checked_add(floats, VECTOR_ROOM, &args.phase_floats) ||
        !checked_multiply(args.phase_floats, args.phases_y * args.phases_x, &floats) ||
        !checked_add(floats, args.columns - conv->out_x, &floats) ||
        !checked_align_up(floats, VECTOR_ROOM, &pack->plane_floats) || pack->plane_floats > UINT32_MAX / sizeof(float))
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "a padded plane is larger than 4 GiB");
    pack->args = args;
    return GOSS_OK;
}

size_t goss_pack_tap(const goss_pack *pack, const goss_conv *conv, uint32_t ky, uint32_t kx)
{
    const size_t y = (size_t)ky * conv->dilation_y, x = (size_t)kx * conv->dilation_x;
    const goss_pack_f32_args *a = &pack->args;
    const size_t phase = y % a->stride_y * a->phases_x + x % a->stride_x;
    return phase * a->phase_floats + y / a->stride_y * a->columns + x / a->stride_x;
}

void goss_pack_plane(const goss_layer *layer, const goss_pack *pack, const float *x, float *packed)
{
    goss_pack_f32_args args = pack->args;
    args.x = x;
    args.packed = packed;
    layer->kernels->pack_f32(&args);
}

void goss_unpack_rows(const goss_layer *layer, const goss_pack *pack, const float *packed, size_t rows, float *y)
{
    layer->kernels->unpack_f32(&(goss_unpack_f32_args){
        .x = packed, .y = y, .rows = rows, .x_columns = pack->args.columns, .y_columns = pack->out_x});
}
