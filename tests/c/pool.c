#include "pool.h"

#include <stdbool.h>
#include <stdint.h>

#include "check.h"

enum { MOST_TASKS = 300 };

typedef struct tally {
    size_t threads;
    unsigned char *runs; /* [MOST_TASKS] of each task; written by its one thread */
    unsigned char *by;   /* [MOST_TASKS] the thread */
} tally;

static void count_task(const void *context, size_t index, size_t thread)
{
    const tally *t = context;
    t->runs[index]++;
    t->by[index] = (unsigned char)thread;
}

/* Whether each of `tasks` tasks ran once, on a thread of the pool, and no other ran. */
static bool each_ran_once(goss_pool *pool, size_t tasks)
{
    unsigned char runs[MOST_TASKS + 1] = {0}, by[MOST_TASKS + 1] = {0};
    const tally t = {.threads = goss_pool_threads(pool), .runs = runs, .by = by};
    goss_pool_run(pool, tasks, count_task, &t);
    for (size_t i = 0; i <= MOST_TASKS; i++)
        if (runs[i] != (i < tasks) || by[i] >= t.threads) return false;
    return true;
}

static void every_task_runs_once(void)
{
    for (size_t threads = 1; threads <= 5; threads++) {
        goss_pool *pool = goss_pool_new(threads);
        CHECK(goss_pool_threads(pool) >= 1 && goss_pool_threads(pool) <= threads);
        size_t right = 0;
        for (size_t run = 0; run < 2000; run++) right += each_ran_once(pool, run * 7 % MOST_TASKS);
        CHECK(right == 2000);
        goss_pool_delete(pool);
    }
}

static void the_caller_is_thread_0_and_runs_all_without_a_pool(void)
{
    CHECK(goss_pool_new(0) == NULL && goss_pool_new(1) == NULL && goss_pool_threads(NULL) == 1);
    CHECK(each_ran_once(NULL, MOST_TASKS));
}

static void more_threads_than_are_supported_are_not_started(void)
{
    goss_pool *pool = goss_pool_new(SIZE_MAX);
    CHECK(goss_pool_threads(pool) <= GOSS_POOL_MOST_THREADS);
    CHECK(each_ran_once(pool, MOST_TASKS));
    goss_pool_delete(pool);
}

/* A task of one pool runs all tasks of another. */
static void run_inner(const void *context, size_t index, size_t thread)
{
    goss_pool *const *inner = context;
    (void)thread;
    CHECK(each_ran_once(inner[index], MOST_TASKS));
}

static void pools_do_not_disturb_each_other(void)
{
    goss_pool *outer = goss_pool_new(3), *inner[3] = {goss_pool_new(2), goss_pool_new(3), NULL};
    for (size_t run = 0; run < 100; run++) goss_pool_run(outer, 3, run_inner, inner);
    for (size_t i = 0; i < 3; i++) goss_pool_delete(inner[i]);
    goss_pool_delete(outer);
}

static void a_pool_that_never_ran_is_deleted(void)
{
    for (size_t i = 0; i < 100; i++) goss_pool_delete(goss_pool_new(2 + i % 3));
    goss_pool_delete(NULL);
    CHECK(goss_pool_default_threads() >= 1 && goss_pool_default_threads() <= 4);
}

const test_case pool_tests[] = {
    TEST(every_task_runs_once),
    TEST(the_caller_is_thread_0_and_runs_all_without_a_pool),
    TEST(more_threads_than_are_supported_are_not_started),
    TEST(pools_do_not_disturb_each_other),
    TEST(a_pool_that_never_ran_is_deleted),
    {NULL, NULL},
};
