/* Threads that share the work of one layer. One of pool_pthread.c, pool_wasm.c and
 * pool_single.c is linked: the platform's. */
#ifndef GOSS_POOL_H
#define GOSS_POOL_H

#include <stdbool.h>
#include <stddef.h>

enum { GOSS_POOL_MOST_THREADS = 16 };

typedef struct goss_pool goss_pool;

/* One piece of work. `thread` is below the pool's threads and tells concurrent calls apart: it picks their scratch. */
typedef void goss_task(const void *context, size_t index, size_t thread);

/* Threads that are worth having on this machine: its processors, at least 1, at most 4. */
size_t goss_pool_default_threads(void);

/* Starts threads - 1 threads; the caller of goss_pool_run() is one more. Fewer where the system gives no more:
 * goss_pool_threads() tells. NULL, which is a pool of one thread, where it gives none. */
goss_pool *goss_pool_new(size_t threads);
size_t goss_pool_threads(const goss_pool *pool);
void goss_pool_delete(goss_pool *pool);

/* Runs task(context, 0 .. tasks - 1), each once, in any order, on any thread; returns when all are done. Without a
 * pool (NULL) the caller runs them all, in order, as thread 0. One run at a time. */
void goss_pool_run(goss_pool *pool, size_t tasks, goss_task *task, const void *context);

/* Whether a thread stopped in the middle of a task, which the system can do to a browser's workers. The results of that
 * run are incomplete, and the thread may still write: nothing that its tasks knew may be used any more. */
bool goss_pool_lost(const goss_pool *pool);

#endif
