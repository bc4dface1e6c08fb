/* Quantized channels and elements that change places. */
#ifndef GOSS_MOVE_I8_H
#define GOSS_MOVE_I8_H

#include "quantized.h"

/* Where a channel of the output comes from. */
typedef struct goss_source {
    uint32_t input, channel;
} goss_source;

typedef goss_source goss_source_of(const goss_layer *layer, size_t channel);

/* Plans to copy every channel of the output, whose shape is set, from its source. Numbers of another scale or zero
 * point become those of the output. */
goss_status goss_move_i8_plan(goss_layer *layer, goss_source_of *source_of, goss_error *error);

/* Runs a layer whose output has input 0's elements, in another shape. */
void goss_reshape_i8_run(const goss_layer *layer);

#endif
