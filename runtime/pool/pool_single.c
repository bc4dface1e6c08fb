/* No threads: WebAssembly without shared memory. */
#include "pool.h"
#include "tickets.h"

size_t goss_pool_default_threads(void) { return 1; }

goss_pool *goss_pool_new(size_t threads)
{
    (void)threads;
    return NULL;
}

size_t goss_pool_threads(const goss_pool *pool)
{
    (void)pool;
    return 1;
}

void goss_pool_delete(goss_pool *pool) { (void)pool; }

void goss_pool_run(goss_pool *pool, size_t tasks, goss_task *task, const void *context)
{
    (void)pool;
    goss_tasks_run_alone(tasks, task, context);
}

bool goss_pool_lost(const goss_pool *pool)
{
    (void)pool;
    return false;
}
