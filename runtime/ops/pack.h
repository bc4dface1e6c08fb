/* Packed planes: an input plane rearranged so that a convolution with any stride, dilation and padding reads, for each
 * kernel position, a contiguous run of pixels.
 *
 * A plane is split by the remainders of its padded coordinates modulo the stride into phases, each [rows][columns]:
 * padded pixel (r * stride_y + i, c * stride_x + j) lies in phase (i, j) at (r, c). Kernel position (ky, kx) then reads
 * phase (ky * dilation_y % stride_y, kx * dilation_x % stride_x) from a constant offset on, and output pixel (y, x)
 * lies at y * columns + x. The last columns of an output row are surplus. */
#ifndef GOSS_PACK_H
#define GOSS_PACK_H

#include "conv.h"

typedef struct goss_pack {
    uint32_t stride_y, stride_x, pad_top, pad_left;
    uint32_t in_y, in_x, out_y, out_x;
    uint32_t phases_y, phases_x;
    size_t rows, columns; /* of a phase */
    size_t plane_floats;  /* of one packed plane, with room for what surplus columns and the last vector read past it */
} goss_pack;

/* Fails when a packed plane would be too large. */
goss_status goss_pack_plan(const goss_layer *layer, const goss_conv *conv, goss_pack *pack, goss_error *error);

/* Offset in floats of kernel position (ky, kx) from the packed plane. */
size_t goss_pack_tap(const goss_pack *pack, const goss_conv *conv, uint32_t ky, uint32_t kx);

/* packed [plane_floats] from x [in_y][in_x]. */
void goss_pack_plane(const goss_pack *pack, const float *x, float *packed);

/* y [rows][out_x] from packed rows, without the surplus columns. */
void goss_unpack_rows(const goss_pack *pack, const float *packed, size_t rows, float *y);

#endif
