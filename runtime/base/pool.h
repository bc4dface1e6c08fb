/* Threads that share the work of one layer. */
#ifndef GOSS_POOL_H
#define GOSS_POOL_H

#include <stddef.h>

typedef struct goss_pool goss_pool;

/* One piece of work. `thread` is below the pool's threads and tells concurrent calls apart: it picks their scratch. */
typedef void goss_task(const void *context, size_t index, size_t thread);

/* Runs task(context, 0 .. tasks - 1), each once, in any order, on any thread; returns when all are done. Without a
 * pool (NULL) the caller runs them all, in order, as thread 0. */
void goss_pool_run(goss_pool *pool, size_t tasks, goss_task *task, const void *context);

#endif
