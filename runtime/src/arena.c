/* Offline dynamic storage allocation, greedy: the largest item first, each into the smallest gap that holds it among
 * the items alive with it. Chains of layers come out at the lower bound (Pisarchyk & Lee 2020, arXiv:2001.03288). */
#include "arena.h"

#include <stdlib.h>

#include "checked.h"
#include "error.h"
#include "memory.h"

static int larger_first(const void *a, const void *b)
{
    const goss_lifetime *const x = *(const goss_lifetime *const *)a, *const y = *(const goss_lifetime *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y; /* the same plan on every machine */
}

/* placed [count] is sorted by offset; puts item where it belongs. */
static void insert_by_offset(goss_lifetime **placed, uint32_t count, goss_lifetime *item)
{
    uint32_t i = count;
    for (; i > 0 && placed[i - 1]->offset > item->offset; i--) placed[i] = placed[i - 1];
    placed[i] = item;
}

static size_t best_gap(goss_lifetime *const *placed, uint32_t count, const goss_lifetime *item)
{
    size_t end = 0, best = SIZE_MAX, best_bytes = SIZE_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const goss_lifetime *other = placed[i];
        if (other->last < item->first || other->first > item->last) continue;
        if (other->offset > end && other->offset - end >= item->bytes && other->offset - end < best_bytes) {
            best = end;
            best_bytes = other->offset - end;
        }
        if (other->offset + other->bytes > end) end = other->offset + other->bytes;
    }
    return best != SIZE_MAX ? best : end;
}

static goss_status measure(goss_lifetime *items, uint32_t count, uint32_t layers, goss_arena_plan *plan,
                           goss_error *error)
{
    ptrdiff_t *change = goss_alloc_zeroed((layers + (size_t)1) * sizeof *change); /* of live bytes, at each layer */
    if (!change) return goss_fail_out_of_memory(error, layers * sizeof *change, "planning the arena");

    bool fits = true;
    for (uint32_t i = 0; i < count; i++) {
        fits = fits && checked_align_up(items[i].bytes, GOSS_ALIGNMENT, &items[i].bytes) &&
               checked_add(plan->total_bytes, items[i].bytes, &plan->total_bytes) && plan->total_bytes <= PTRDIFF_MAX;
        if (!fits) break;
        change[items[i].first] += (ptrdiff_t)items[i].bytes;
        if (items[i].last + 1 <= layers) change[items[i].last + 1] -= (ptrdiff_t)items[i].bytes;
    }
    ptrdiff_t live = 0;
    for (uint32_t i = 0; i < layers; i++) {
        live += change[i];
        if ((size_t)live > plan->lowest_bytes) plan->lowest_bytes = (size_t)live;
    }
    goss_free(change);
    return fits ? GOSS_OK
                : goss_fail(error, GOSS_OUT_OF_MEMORY,
                            "the model's tensors do not fit into this machine's address space");
}

goss_status goss_arena_place(goss_lifetime *items, uint32_t count, uint32_t layers, goss_arena_plan *plan,
                             goss_error *error)
{
    *plan = (goss_arena_plan){0, 0, 0};
    const goss_status status = measure(items, count, layers, plan, error);
    if (status) return status;

    goss_lifetime **by_size = goss_alloc_zeroed(2 * (size_t)count * sizeof *by_size);
    if (!by_size) return goss_fail_out_of_memory(error, 2 * (size_t)count * sizeof *by_size, "planning the arena");
    goss_lifetime **placed = by_size + count;
    for (uint32_t i = 0; i < count; i++) by_size[i] = &items[i];
    qsort(by_size, count, sizeof *by_size, larger_first);

    for (uint32_t i = 0; i < count; i++) {
        goss_lifetime *item = by_size[i];
        item->offset = best_gap(placed, i, item);
        if (item->offset + item->bytes > plan->bytes) plan->bytes = item->offset + item->bytes;
        insert_by_offset(placed, i, item);
    }
    goss_free(by_size);
    return GOSS_OK;
}
