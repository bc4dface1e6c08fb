/* What operators on quantized tensors share: FORMAT.md section 9. */
#ifndef GOSS_QUANTIZED_H
#define GOSS_QUANTIZED_H

#include "op.h"

/* The tensor's planes and scratch as bytes. */
static inline uint8_t *goss_bytes(const goss_value *value) { return (uint8_t *)(void *)value->data; }

/* Whether input 0 is u7: the layer is then quantized. */
static inline bool goss_layer_is_quantized(const goss_layer *layer)
{
    return layer->inputs[0] && layer->inputs[0]->dtype == GOSS_DTYPE_U7;
}

/* Checks that input `position` is a u7 activation, or weights of i8, respectively. */
goss_status goss_layer_need_u7(const goss_layer *layer, uint32_t position, goss_error *error);
goss_status goss_layer_need_i8_weights(const goss_layer *layer, uint32_t position, uint32_t rank, goss_error *error);

/* Checks that inputs 0 to `count` - 1 are f32 activations, and the output too. */
goss_status goss_layer_need_f32(const goss_layer *layer, uint32_t count, goss_error *error);

/* Checks that inputs 0 and 1 are u7 activations, and the output too. */
goss_status goss_layer_need_u7_pair(const goss_layer *layer, goss_error *error);

/* Checks that the output is of that dtype. */
goss_status goss_layer_need_u7_output(const goss_layer *layer, goss_error *error);
goss_status goss_layer_need_f32_output(const goss_layer *layer, goss_error *error);

/* Checks that the output is u7 and stands for the same numbers as input 0. */
goss_status goss_layer_need_same_scale(const goss_layer *layer, goss_error *error);

/* Between min and max, as numbers of the output. */
goss_target_i8 goss_target_of(const goss_value *output, float min, float max);

/* scale / divisor as f32, finite. Fails and names the layer's operator otherwise. */
goss_status goss_layer_factor(const goss_layer *layer, double scale, double divisor, float *factor, goss_error *error);

/* What the rows of a weight matrix need besides weights: start, multiplier and bias of [padded_rows] each. */
typedef struct goss_rows_i8 {
    int32_t *start;
    float *multiplier, *bias;
} goss_rows_i8;

/* Words of memory that goss_rows_fill() needs. */
static inline size_t goss_rows_words(const goss_weights *weights) { return 3 * weights->padded_rows; }

/* Fills `words`; rows that are padding give 0. `y_scale` is the output's, 1 where that is f32. */
goss_status goss_rows_fill(const goss_layer *layer, const goss_weights *weights, const goss_weights *bias,
                           double y_scale, void *words, goss_rows_i8 *rows, goss_error *error);

#endif
