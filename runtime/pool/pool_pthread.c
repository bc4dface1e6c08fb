/* Threads of the operating system. They look for work for a moment, then sleep. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "gossamer.h"
#include "memory.h"
#include "pool.h"
#include "tickets.h"

enum {
    DEFAULT_MOST = 4,
    SPINS = 20000, /* some tens of microseconds: longer than from one layer to the next */
};

typedef struct worker {
    goss_pool *pool;
    size_t thread;
    pthread_t handle;
} worker;

struct goss_pool {
    size_t threads;
    goss_tickets tickets;
    atomic_bool stopped;
    atomic_size_t sleepers;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    worker workers[];
};

/* Returns when there is work, or the pool is stopped. */
static void wait_for_work(goss_pool *pool)
{
    for (size_t i = 0; i < SPINS; i++)
        if (goss_tickets_left(&pool->tickets) || atomic_load(&pool->stopped)) return;
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1); /* before looking again: goss_pool_run() looks the other way round */
    while (!goss_tickets_left(&pool->tickets) && !atomic_load(&pool->stopped))
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument)
{
    const worker *self = argument;
    while (!atomic_load(&self->pool->stopped)) {
        goss_tickets_work(&self->pool->tickets, self->thread);
        wait_for_work(self->pool);
    }
    return NULL;
}

static void wake_all(goss_pool *pool)
{
    if (atomic_load(&pool->sleepers) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

size_t goss_pool_default_threads(void)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > DEFAULT_MOST ? DEFAULT_MOST : (size_t)processors;
}

goss_pool *goss_pool_new(size_t threads)
{
    if (threads > GOSS_POOL_MOST_THREADS) threads = GOSS_POOL_MOST_THREADS;
    if (threads < 2) return NULL;
    goss_pool *pool = goss_alloc_zeroed(sizeof *pool + (threads - 1) * sizeof *pool->workers);
    if (!pool) return NULL;
    if (pthread_mutex_init(&pool->mutex, NULL) != 0) {
        goss_free(pool);
        return NULL;
    }
    if (pthread_cond_init(&pool->wake, NULL) != 0) {
        pthread_mutex_destroy(&pool->mutex);
        goss_free(pool);
        return NULL;
    }
    for (pool->threads = 1; pool->threads < threads; pool->threads++) {
        worker *next = &pool->workers[pool->threads - 1];
        *next = (worker){.pool = pool, .thread = pool->threads};
        if (pthread_create(&next->handle, NULL, worker_main, next) != 0) break;
    }
    if (pool->threads > 1) return pool;
    goss_pool_delete(pool);
    return NULL;
}

size_t goss_pool_threads(const goss_pool *pool) { return pool ? pool->threads : 1; }

void goss_pool_delete(goss_pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->stopped, true);
    wake_all(pool);
    for (size_t i = 0; i + 1 < pool->threads; i++) pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    goss_free(pool);
}

void goss_pool_run(goss_pool *pool, size_t tasks, goss_task *task, const void *context)
{
    if (!pool || tasks < 2) {
        goss_tasks_run_alone(tasks, task, context);
        return;
    }
    const unsigned batches = goss_tickets_publish(&pool->tickets, pool->threads, tasks, task, context);
    wake_all(pool);
    goss_tickets_work(&pool->tickets, 0);
    /* The others are under way. On a busy machine their threads may need this one's processor. */
    for (size_t i = 0; atomic_load(&pool->tickets.done) < batches; i++)
        if (i >= SPINS) sched_yield();
}

bool goss_pool_lost(const goss_pool *pool)
{
    (void)pool; /* a thread of this process ends with it */
    return false;
}
