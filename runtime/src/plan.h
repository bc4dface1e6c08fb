/* How a model runs on this machine: shapes, kernels, memory. */
#ifndef GOSS_PLAN_H
#define GOSS_PLAN_H

#include "model.h"
#include "op.h"

typedef struct goss_plan {
    const goss_model *model;
    const goss_kernels *kernels;
    goss_pool *pool;    /* not the plan's own; NULL: one thread */
    goss_value *values; /* [model->tensor_count]; unused where the tensor is weights */
    goss_layer *layers; /* [model->node_count] */
    unsigned char *arena;
    size_t arena_bytes, tensor_bytes, lowest_bytes;
} goss_plan;

/* Fills plan, whose model, kernels and pool are given and whose other fields are zero. After a failure, as after a
 * success, goss_plan_release() frees what was allocated. */
goss_status goss_plan_build(goss_plan *plan, goss_error *error);
void goss_plan_release(goss_plan *plan);

#endif
