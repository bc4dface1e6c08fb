/* A heap of places of numbers. */
#ifndef GOSS_HEAP_H
#define GOSS_HEAP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct goss_heap {
    const float *x; /* the numbers */
    float *places;  /* whole numbers: its memory */
    size_t x_step, step;
    bool smallest;   /* of two numbers, the smaller is the better; of equal ones, the first always is */
    bool best_first; /* the root is the best, or else the worst */
} goss_heap;

/* Whether the number at place a belongs closer to the root than that at b. */
bool goss_heap_is_above(const goss_heap *heap, float a, float b);

/* Puts a place at `node`, or below it where what belongs closer to the root lies; the heap has `count` places. */
void goss_heap_sift_down(const goss_heap *heap, size_t node, size_t count, float place);

/* Makes a heap of the first `count` places. */
void goss_heap_make(const goss_heap *heap, size_t count);

#endif
