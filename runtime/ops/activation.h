/* Activations that are not a clamp: an operator of their own, or done by the convolution before them. */
#ifndef GOSS_ACTIVATION_H
#define GOSS_ACTIVATION_H

#include "op.h"

typedef struct goss_activation {
    goss_activation_kernel *kernel; /* NULL: none */
    const char *name;
} goss_activation;

/* Looks up a kind, 0 sigmoid or 1 SiLU (FORMAT.md section 8, operator 8). */
goss_status goss_activation_find(const goss_layer *layer, uint32_t kind, goss_activation *activation,
                                 goss_error *error);

/* y [rows][stride] = activation(y) for the first `count` of each row, a multiple of the vector. While y is in a cache:
 * then reading it again costs nothing beside the exponential. */
static inline void goss_activate(goss_activation_kernel *activation, float *y, size_t rows, size_t stride, size_t count)
{
    if (activation)
        activation(&(goss_activation_f32_args){.x = y, .y = y, .rows = rows, .stride = stride, .count = count});
}

#endif
