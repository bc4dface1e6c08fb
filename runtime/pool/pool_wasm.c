/* Web workers that share this module's memory.
 *
 * A module cannot start threads. JavaScript starts workers, each with an instance and a stack of its own, says how many
 * with goss_pool_admit(), and lets each call goss_pool_join(), which stays until the worker is terminated. They serve
 * one pool at a time, for an engine serves one session. They look for work for a moment, then sleep. */
#include <stddef.h>

#include "pool.h"
#include "pool_wasm.h"
#include "tickets.h"

enum {
    SPINS = 400000, /* some tens of microseconds: longer than from one layer to the next */
    /* A worker that is asleep or slow makes progress within ten seconds of waiting. The time is cut into pieces, so
     * that a computer that was suspended loses one piece and not all. */
    PATIENCE = 100,
    PIECE_NANOSECONDS = 100 * 1000 * 1000,
};

struct goss_pool {
    atomic_size_t threads; /* 0: no session has the workers */
    goss_tickets tickets;
    atomic_uint runs; /* what workers sleep on */
    atomic_uint sleepers;
    atomic_bool caller_sleeps; /* on tickets.done */
    atomic_bool lost;
};

static goss_pool the_pool;
static size_t admitted;

void goss_pool_admit(uint32_t workers) { admitted = workers; }

/* Returns when there is work. */
static void wait_for_work(goss_pool *pool)
{
    for (size_t i = 0; i < SPINS; i++)
        if (goss_tickets_left(&pool->tickets)) return;
    const unsigned runs = atomic_load(&pool->runs);
    atomic_fetch_add(&pool->sleepers, 1); /* before looking again: goss_pool_run() looks the other way round */
    if (!goss_tickets_left(&pool->tickets)) __builtin_wasm_memory_atomic_wait32((int *)&pool->runs, (int)runs, -1);
    atomic_fetch_sub(&pool->sleepers, 1);
}

void goss_pool_join(uint32_t thread)
{
    goss_pool *pool = &the_pool;
    for (;;) {
        if (thread < atomic_load(&pool->threads)) goss_tickets_work(&pool->tickets, thread);
        if (atomic_load(&pool->caller_sleeps)) __builtin_wasm_memory_atomic_notify((int *)&pool->tickets.done, 1);
        wait_for_work(pool);
    }
}

/* JavaScript decides: it knows the machine, and admitted as many workers as shall run. */
size_t goss_pool_default_threads(void) { return admitted + 1; }

goss_pool *goss_pool_new(size_t threads)
{
    if (threads > admitted + 1) threads = admitted + 1;
    if (threads > GOSS_POOL_MOST_THREADS) threads = GOSS_POOL_MOST_THREADS;
    if (threads < 2 || the_pool.threads) return NULL;
    atomic_store(&the_pool.threads, threads);
    return &the_pool;
}

size_t goss_pool_threads(const goss_pool *pool) { return pool ? pool->threads : 1; }

void goss_pool_delete(goss_pool *pool)
{
    if (pool) atomic_store(&pool->threads, 0);
}

/* Sleeps until `done` batches are no longer all that is done, or for a piece of time. */
static void sleep_a_piece(goss_pool *pool, unsigned done)
{
    atomic_store(&pool->caller_sleeps, true); /* workers look at it after they raised `done` */
    __builtin_wasm_memory_atomic_wait32((int *)&pool->tickets.done, (int)done, PIECE_NANOSECONDS);
    atomic_store(&pool->caller_sleeps, false);
}

/* Waits for the batches that workers took; gives up on workers that make no progress. */
static void wait_for_batches(goss_pool *pool, unsigned batches)
{
    for (size_t i = 0; i < SPINS; i++)
        if (atomic_load(&pool->tickets.done) == batches) return;
    unsigned before = 0;
    for (size_t fruitless = 0; fruitless < PATIENCE; fruitless++) {
        const unsigned done = atomic_load(&pool->tickets.done);
        if (done == batches) return;
        if (done != before) fruitless = 0;
        before = done;
        sleep_a_piece(pool, done);
    }
    atomic_store(&pool->lost, true);
}

void goss_pool_run(goss_pool *pool, size_t tasks, goss_task *task, const void *context)
{
    if (!pool || tasks < 2 || goss_pool_lost(pool)) {
        goss_tasks_run_alone(tasks, task, context);
        return;
    }
    const unsigned batches = goss_tickets_publish(&pool->tickets, atomic_load(&pool->threads), tasks, task, context);
    atomic_fetch_add(&pool->runs, 1);
    if (atomic_load(&pool->sleepers)) __builtin_wasm_memory_atomic_notify((int *)&pool->runs, GOSS_POOL_MOST_THREADS);
    goss_tickets_work(&pool->tickets, 0);
    wait_for_batches(pool, batches);
}

bool goss_pool_lost(const goss_pool *pool) { return pool && atomic_load(&pool->lost); }
