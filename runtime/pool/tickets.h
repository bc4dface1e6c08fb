/* How a pool's threads share the tasks of a run.
 *
 * Neighbouring tasks make a batch: a thread that asks for each small task waits longer for the word that says which is
 * next, and which the others write too, than it computes. A run publishes a ticket: how many batches it has and which
 * is next, in one word. Whoever raises `next` by one has that batch, so a thread that wakes up late finds nothing left
 * and disturbs nobody, and a run waits for batches, never for threads: it ends even if no other thread ever wakes. */
#ifndef GOSS_TICKETS_H
#define GOSS_TICKETS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

enum { GOSS_BATCHES_PER_THREAD = 8 }; /* so that threads of unequal speed end together */

typedef struct goss_tickets {
    /* Of the current run. Written before its ticket is, read after a batch was taken. */
    goss_task *task;
    const void *context;
    size_t tasks, batch_tasks;
    atomic_uint_fast64_t ticket; /* batches << 32 | next */
    atomic_uint done;            /* batches */
} goss_tickets;

static inline bool goss_tickets_left(goss_tickets *tickets)
{
    const uint64_t ticket = atomic_load(&tickets->ticket);
    return (uint32_t)ticket < ticket >> 32;
}

/* Takes the next batch of the current run; false when none is left. */
static inline bool goss_tickets_take(goss_tickets *tickets, size_t *index)
{
    uint_fast64_t ticket = atomic_load(&tickets->ticket);
    do {
        if ((uint32_t)ticket >= ticket >> 32) return false;
    } while (!atomic_compare_exchange_weak(&tickets->ticket, &ticket, ticket + 1));
    *index = (uint32_t)ticket;
    return true;
}

/* Runs batches until none is left to take. */
static inline void goss_tickets_work(goss_tickets *tickets, size_t thread)
{
    size_t batch = 0;
    while (goss_tickets_take(tickets, &batch)) {
        const size_t first = batch * tickets->batch_tasks, left = tickets->tasks - first;
        const size_t end = first + (left < tickets->batch_tasks ? left : tickets->batch_tasks);
        for (size_t index = first; index < end; index++) tickets->task(tickets->context, index, thread);
        atomic_fetch_add(&tickets->done, 1);
    }
}

/* Starts a run of at least one task for `threads` threads; the run before is done. Returns how many batches it has. */
static inline unsigned goss_tickets_publish(goss_tickets *tickets, size_t threads, size_t tasks, goss_task *task,
                                            const void *context)
{
    const size_t most = threads * GOSS_BATCHES_PER_THREAD, batch_tasks = (tasks + most - 1) / most;
    const size_t batches = (tasks + batch_tasks - 1) / batch_tasks;
    tickets->task = task;
    tickets->context = context;
    tickets->tasks = tasks;
    tickets->batch_tasks = batch_tasks;
    atomic_store(&tickets->done, 0);
    atomic_store(&tickets->ticket, (uint64_t)batches << 32);
    return (unsigned)batches;
}

/* What goss_pool_run() does where there is nothing to share. */
static inline void goss_tasks_run_alone(size_t tasks, goss_task *task, const void *context)
{
    for (size_t index = 0; index < tasks; index++) task(context, index, 0);
}

#endif
