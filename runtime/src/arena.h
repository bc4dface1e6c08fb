/* Where things live in one block of memory, when not everything is alive at the same time. */
#ifndef GOSS_ARENA_H
#define GOSS_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "gossamer.h"

/* Something that needs memory from layer `first` to layer `last`, both included. */
typedef struct goss_lifetime {
    size_t bytes;
    uint32_t first, last;
    size_t offset; /* filled by goss_arena_place(): a multiple of 64 */
} goss_lifetime;

typedef struct goss_arena_plan {
    size_t bytes;        /* of the arena */
    size_t total_bytes;  /* without sharing */
    size_t lowest_bytes; /* the most that is alive during one layer: no plan can be smaller */
} goss_arena_plan;

/* Gives every item an offset such that items alive together do not overlap.
 * @return GOSS_OK; GOSS_OUT_OF_MEMORY (also when the sum of all sizes overflows). */
goss_status goss_arena_place(goss_lifetime *items, uint32_t count, uint32_t layers, goss_arena_plan *plan,
                             goss_error *error);

#endif
