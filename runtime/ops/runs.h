/* Buffers cut into runs of whole vectors, for operators that work element by element. */
#ifndef GOSS_RUNS_H
#define GOSS_RUNS_H

#include "op.h"

enum { GOSS_RUN_FLOATS = 16384 }; /* worth a task: some microseconds */

typedef struct goss_run {
    size_t first, count; /* floats of the output's buffer */
} goss_run;

static inline size_t goss_run_count(const goss_layer *layer)
{
    return (layer->output->floats + GOSS_RUN_FLOATS - 1) / GOSS_RUN_FLOATS;
}

static inline goss_run goss_run_of(const goss_layer *layer, size_t index)
{
    const size_t first = index * GOSS_RUN_FLOATS, left = layer->output->floats - first;
    return (goss_run){first, left < GOSS_RUN_FLOATS ? left : GOSS_RUN_FLOATS};
}

#endif
