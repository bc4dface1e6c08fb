/* Packed planes (goss_pack_f32_args). Kernel position (ky, kx) reads phase (ky * dilation_y % stride_y, kx * dilation_x
 * % stride_x) from a constant offset on, and output pixel (y, x) lies at y * columns + x. The last columns of an output
 * row are surplus. */
#ifndef GOSS_PACK_H
#define GOSS_PACK_H

#include "conv.h"

typedef struct goss_pack {
    goss_pack_f32_args args; /* all but x and packed */
    size_t out_y, out_x;
    size_t plane_floats; /* of one packed plane, with room for what surplus columns and the last vector read past it */
} goss_pack;

/* Fails when a packed plane would be too large. */
goss_status goss_pack_plan(const goss_layer *layer, const goss_conv *conv, goss_pack *pack, goss_error *error);

/* Offset in floats of kernel position (ky, kx) from the packed plane. */
size_t goss_pack_tap(const goss_pack *pack, const goss_conv *conv, uint32_t ky, uint32_t kx);

/* packed [plane_floats] from x [in_y][in_x]. */
void goss_pack_plane(const goss_layer *layer, const goss_pack *pack, const float *x, float *packed);

/* y [rows][out_x] from packed rows, without the surplus columns. */
void goss_unpack_rows(const goss_layer *layer, const goss_pack *pack, const float *packed, size_t rows, float *y);

#endif
