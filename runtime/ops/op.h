/* What an operator is to the engine, and what the engine gives it.
 *
 * Adding one: a file here with its plan function and a row in ops.c; a kernel if none fits; an importer entry. */
#ifndef GOSS_OP_H
#define GOSS_OP_H

#include <stdbool.h>
#include <string.h>

#include "gossamer.h"
#include "kernels.h"
#include "pool.h"
#include "weights.h"

enum { GOSS_NODE_MAX_INPUTS = 4 };

/* An activation tensor in this session. Rank 4 is stored as channel planes: [images][planes][stride], pixels in rows
 * without gaps, stride padded to the vector. Any other rank is flat: [images][planes] without gaps (pixels and stride
 * are 1). A plane of f32 is a channel; a plane of u7 is a quad, 4 channels whose bytes lie together, and takes the same
 * memory, so that whatever only moves pixels treats both alike. Padding holds anything. */
typedef struct goss_value {
    const char *name;
    uint32_t rank;
    uint32_t dims[GOSS_MAX_RANK];
    goss_dtype dtype; /* f32 or u7; inputs of a model also u8 */
    float scale;      /* u7: q stands for scale * (q - zero_point) */
    int32_t zero_point;
    size_t element_bytes;
    bool rows_vary; /* each run sets dims[0], to no more than was planned; only an output of the model may be so */
    size_t images, channels, planes, pixels, stride;
    size_t floats; /* of memory: all images, with room for the last row in whole vectors; a multiple of the vector */
    float *data;
} goss_value;

/* 0 as planes hold it: the number, or a quad of zero points. */
static inline float goss_zero_of(const goss_value *value)
{
    const uint32_t quad = (uint32_t)value->zero_point * 0x01010101u; /* of f32, zero_point is 0 */
    float zero;
    memcpy(&zero, &quad, sizeof zero);
    return zero;
}

typedef struct goss_layer goss_layer;

typedef struct goss_op {
    const char *name;
    uint32_t code;                /* FORMAT.md section 8 */
    uint32_t inputs;              /* weights included */
    uint32_t optional_inputs;     /* that may follow */
    uint32_t attributes;          /* 32-bit words */
    uint32_t optional_attributes; /* that may follow: 0 or 1; a word that is absent is 0 */
    bool quantized;               /* may give u7: plan looks at the output's dtype */
    bool infinite_constants;      /* constants may hold -inf and +inf; no operator takes NaN */

    /* Checks the layer's inputs and attributes, gives the output its shape (goss_value_set_shape), chooses how to run
     * and says so in kernel_name and reason. */
    goss_status (*plan)(goss_layer *layer, goss_error *error);
} goss_op;

struct goss_layer {
    /* Given by the engine. */
    const goss_op *op;
    const char *name;
    const unsigned char *attributes;
    uint32_t attribute_count; /* words */
    const goss_kernels *kernels;
    const goss_value *inputs[GOSS_NODE_MAX_INPUTS];    /* NULL where the input is weights, or absent */
    const goss_weights *weights[GOSS_NODE_MAX_INPUTS]; /* NULL where it is not */
    const uint32_t *weight_dims[GOSS_NODE_MAX_INPUTS];
    uint32_t weight_ranks[GOSS_NODE_MAX_INPUTS];
    goss_value *output;
    unsigned char *scratch; /* scratch_bytes, alive during run only */
    goss_pool *pool;        /* for run; NULL with one thread */
    size_t threads;         /* of the pool, at least 1: concurrent tasks need scratch of their own */

    /* Filled by op->plan. */
    void (*run)(const goss_layer *layer);
    void *state; /* what run needs; one block from goss_alloc, freed by the engine */
    size_t state_bytes;
    size_t scratch_bytes;
    bool in_place; /* the output may take the memory of an input that nobody else needs */
    uint64_t macs, dense_macs;
    char kernel_name[48];
    char reason[120];
};

/* The operator of that code, or NULL. */
const goss_op *goss_op_find(uint32_t code);

/* The rows of ops.c. */
extern const goss_op goss_op_conv, goss_op_fully_connected, goss_op_global_average_pool, goss_op_add, goss_op_clamp,
    goss_op_softmax, goss_op_flatten, goss_op_activation, goss_op_multiply, goss_op_conv_pixels, goss_op_max_pool,
    goss_op_average_pool, goss_op_concat, goss_op_leaky_relu, goss_op_slice, goss_op_shuffle, goss_op_reshape,
    goss_op_transpose, goss_op_take, goss_op_binary, goss_op_select, goss_op_reduce, goss_op_matmul, goss_op_layer_norm,
    goss_op_resize, goss_op_top_k, goss_op_non_max_suppression, goss_op_lookup, goss_op_quantize, goss_op_dequantize,
    goss_op_quantize_pixels;

/* Gives a value its shape and layout. Fails when it would not fit into memory that 32-bit offsets address. */
goss_status goss_value_set_shape(goss_value *value, uint32_t rank, const uint32_t *dims, size_t lanes,
                                 goss_error *error);

/* Allocates layer->state. */
goss_status goss_layer_allocate_state(goss_layer *layer, size_t bytes, goss_error *error);

/* Asks for scratch of that many floats for each thread. Fails when it would not fit into memory. */
goss_status goss_layer_need_scratch(goss_layer *layer, size_t floats, goss_error *error);

/* The attribute word at that position; 0 where it is absent. */
uint32_t goss_layer_u32(const goss_layer *layer, uint32_t position);

/* The two attribute words `min`, `max` at that position, checked. */
goss_status goss_layer_clamp(const goss_layer *layer, uint32_t position, float *min, float *max, goss_error *error);

/* goss_fail with a sentence about a layer, which says first which one. */
__attribute__((format(printf, 4, 5))) goss_status goss_layer_fail(const goss_layer *layer, goss_error *error,
                                                                  goss_status status, const char *format, ...);

/* Checks that input `position` is an activation of any dtype, one of f32, or a weight tensor of f32, respectively. */
goss_status goss_layer_need_input(const goss_layer *layer, uint32_t position, goss_error *error);
goss_status goss_layer_need_value(const goss_layer *layer, uint32_t position, goss_error *error);
goss_status goss_layer_need_weights(const goss_layer *layer, uint32_t position, uint32_t rank, goss_error *error);

/* Checks that input `position` is a bias of `rows` values. */
goss_status goss_layer_need_bias(const goss_layer *layer, uint32_t position, size_t rows, goss_error *error);

#endif
