#include "heap.h"

bool goss_heap_is_above(const goss_heap *heap, float a, float b)
{
    const float x_a = heap->x[(size_t)a * heap->x_step], x_b = heap->x[(size_t)b * heap->x_step];
    const bool better = x_a == x_b ? a < b : heap->smallest ? x_a < x_b : x_a > x_b;
    return better == heap->best_first;
}

void goss_heap_sift_down(const goss_heap *heap, size_t node, size_t count, float place)
{
    float *places = heap->places;
    const size_t step = heap->step;
    for (size_t child; (child = 2 * node + 1) < count; node = child) {
        if (child + 1 < count && goss_heap_is_above(heap, places[(child + 1) * step], places[child * step])) child++;
        if (goss_heap_is_above(heap, place, places[child * step])) break;
        places[node * step] = places[child * step];
    }
    places[node * step] = place;
}

void goss_heap_make(const goss_heap *heap, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) goss_heap_sift_down(heap, i, count, heap->places[i * heap->step]);
}
