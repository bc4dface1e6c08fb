/* A validated model file: what to compute. Everything here was checked by model.c and can be trusted. */
#ifndef GOSS_MODEL_H
#define GOSS_MODEL_H

#include "gossamer.h"
#include "op.h"
#include "weights.h"

typedef enum goss_role { GOSS_ROLE_INTERMEDIATE, GOSS_ROLE_INPUT, GOSS_ROLE_OUTPUT, GOSS_ROLE_WEIGHTS } goss_role;

typedef struct goss_tensor {
    const char *name;
    goss_role role;
    goss_dtype dtype;
    float scale; /* u7; otherwise 0 */
    uint32_t zero_point;
    uint32_t rank;
    uint32_t dims[GOSS_MAX_RANK];
    goss_weights weights; /* role weights only */
} goss_tensor;

typedef struct goss_node {
    const char *name;
    const goss_op *op;
    uint32_t input_count;
    uint32_t inputs[GOSS_NODE_MAX_INPUTS];
    uint32_t output;
    const unsigned char *attributes; /* 32-bit words */
    uint32_t attribute_count;        /* as the operator says, with or without its optional ones */
} goss_node;

struct goss_model {
    const unsigned char *data;
    unsigned char *owned; /* an aligned copy of the caller's bytes, or NULL */
    goss_tensor *tensors;
    goss_node *nodes;
    const char **metadata; /* key, value, key, value, ... */
    uint32_t tensor_count, node_count, metadata_count;
};

#endif
