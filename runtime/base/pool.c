#include "pool.h"

void goss_pool_run(goss_pool *pool, size_t tasks, goss_task *task, const void *context)
{
    (void)pool;
    for (size_t index = 0; index < tasks; index++) task(context, index, 0);
}
