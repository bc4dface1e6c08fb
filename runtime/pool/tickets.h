/* How a pool's threads share the tasks of a run.
 *
 * A run publishes a ticket: how many tasks it has and which is next, in one word. Whoever raises `next` by one has that
 * task, so a thread that wakes up late finds nothing left and disturbs nobody, and a run waits for tasks, never for
 * threads: it ends even if no other thread ever wakes. */
#ifndef GOSS_TICKETS_H
#define GOSS_TICKETS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

typedef struct goss_tickets {
    /* Of the current run. Written before its ticket is, read after a task was taken. */
    goss_task *task;
    const void *context;
    atomic_uint_fast64_t ticket; /* tasks << 32 | next */
    atomic_uint done;
} goss_tickets;

static inline bool goss_tickets_left(goss_tickets *tickets)
{
    const uint64_t ticket = atomic_load(&tickets->ticket);
    return (uint32_t)ticket < ticket >> 32;
}

/* Takes the next task of the current run; false when none is left. */
static inline bool goss_tickets_take(goss_tickets *tickets, size_t *index)
{
    uint_fast64_t ticket = atomic_load(&tickets->ticket);
    do {
        if ((uint32_t)ticket >= ticket >> 32) return false;
    } while (!atomic_compare_exchange_weak(&tickets->ticket, &ticket, ticket + 1));
    *index = (uint32_t)ticket;
    return true;
}

/* Runs tasks until none is left to take. */
static inline void goss_tickets_work(goss_tickets *tickets, size_t thread)
{
    size_t index = 0;
    while (goss_tickets_take(tickets, &index)) {
        tickets->task(tickets->context, index, thread);
        atomic_fetch_add(&tickets->done, 1);
    }
}

/* Starts a run; the one before is done. tasks is at most UINT32_MAX. */
static inline void goss_tickets_publish(goss_tickets *tickets, size_t tasks, goss_task *task, const void *context)
{
    tickets->task = task;
    tickets->context = context;
    atomic_store(&tickets->done, 0);
    atomic_store(&tickets->ticket, (uint64_t)tasks << 32);
}

/* What goss_pool_run() does where there is nothing to share. */
static inline void goss_tasks_run_alone(size_t tasks, goss_task *task, const void *context)
{
    for (size_t index = 0; index < tasks; index++) task(context, index, 0);
}

#endif
