/* The thread pool: every tile once whatever the pool is doing, results seen by the caller, threads
 * where they were put, and asleep when there is nothing to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/pool.h"

#define N_TILES   1000
#define N_THREADS 4

struct tally {
    atomic_int seen[N_TILES];
};

static void count_tile(void *arg, size_t tile, int thread)
{
    struct tally *tally = arg;

    assert_in_range(thread, 0, N_THREADS - 1);
    atomic_fetch_add(&tally->seen[tile], 1);
}

static void test_runs_each_tile_once(void **state)
{
    (void)state;
    for (int n_threads = 0; n_threads <= N_THREADS; n_threads++) {
        struct tally tally = {0};
        struct scree_pool *pool = NULL;

        if (n_threads > 0)
            assert_int_equal(scree_pool_new(n_threads, NULL, &pool, NULL), 0);
        assert_int_equal(scree_pool_n_threads(pool), n_threads > 0 ? n_threads : 1);
        for (int round = 1; round <= 50; round++) {
            scree_pool_run(pool, N_TILES, count_tile, &tally);
            for (int i = 0; i < N_TILES; i++)
                assert_int_equal(tally.seen[i], round);
        }
        scree_pool_free(pool);
    }
}

static void note_thread(void *arg, size_t tile, int thread)
{
    atomic_uint *seen = arg;

    (void)tile;
    atomic_fetch_or(seen, 1u << thread);
}

static void test_uses_fewer_threads(void **state)
{
    struct scree_pool *pool;

    (void)state;
    assert_int_equal(scree_pool_new(N_THREADS, NULL, &pool, NULL), 0);
    for (int n = N_THREADS; n >= 1; n--) {
        struct tally tally = {0};
        atomic_uint seen = 0;

        scree_pool_use(pool, n);
        for (int round = 1; round <= 20; round++) {
            scree_pool_run(pool, N_TILES, count_tile, &tally);
            scree_pool_run(pool, N_TILES, note_thread, &seen);
            for (int i = 0; i < N_TILES; i++)
                assert_int_equal(tally.seen[i], round);
        }
        assert_int_equal(seen >> n, 0);
    }
    scree_pool_use(pool, 100); /* all there are */
    assert_int_equal(scree_pool_n_threads(pool), N_THREADS);
    scree_pool_use(NULL, 1);
    scree_pool_free(pool);
}

/* Not atomic: that loops are ordered and their results visible is what is tested (most of all by
 * ThreadSanitizer). Each tile adds up what the last loop left in its neighbours. */
struct wave {
    uint32_t from[64], to[64];
    size_t n;
};

static void wave_tile(void *arg, size_t tile, int thread)
{
    struct wave *wave = arg;

    (void)thread;
    wave->to[tile] = wave->from[tile] * 3 + wave->from[(tile + 1) % wave->n] + 1;
}

static void make_waves(struct scree_pool *pool, struct wave *wave, int n_loops)
{
    for (int i = 0; i < n_loops; i++) {
        scree_pool_run(pool, wave->n, wave_tile, wave);
        memcpy(wave->from, wave->to, sizeof wave->from);
    }
}

static void test_loops_follow_each_other(void **state)
{
    struct scree_pool *pool;

    (void)state;
    assert_int_equal(scree_pool_new(N_THREADS, NULL, &pool, NULL), 0);
    for (size_t n = 0; n <= 64; n = n * 2 + 1) {
        struct wave alone = {.n = n}, shared = {.n = n};

        make_waves(NULL, &alone, 300);
        for (int run = 0; run < 3; run++) {
            if (run == 1)
                scree_pool_wake(pool);
            make_waves(pool, &shared, 100);
        }
        assert_memory_equal(shared.from, alone.from, sizeof alone.from);
    }
    scree_pool_free(pool);
}

static void test_wakes_and_stops_at_any_time(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct wave wave = {.n = 2};
        struct scree_pool *pool;

        assert_int_equal(scree_pool_new(1 + i % N_THREADS, NULL, &pool, NULL), 0);
        for (int k = 0; k < i % 3; k++)
            scree_pool_wake(pool);
        make_waves(pool, &wave, i % 5);
        scree_pool_free(pool); /* awake, in the middle of looking for work */
    }
    scree_pool_wake(NULL);
    scree_pool_free(NULL);
}

struct places {
    const cpu_set_t *pin;
    atomic_int n_elsewhere;
};

static void note_place(void *arg, size_t tile, int thread)
{
    struct places *places = arg;
    cpu_set_t set;

    (void)tile;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    if (thread > 0 && !CPU_EQUAL(&set, places->pin))
        atomic_fetch_add(&places->n_elsewhere, 1);
}

static void test_threads_stay_where_they_are_put(void **state)
{
    cpu_set_t before, after, pin;
    struct places places = {.pin = &pin};
    struct scree_pool *pool;
    int last = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &before))
            last = i;
    CPU_ZERO(&pin);
    CPU_SET(last, &pin);
    assert_int_equal(scree_pool_new(3, &pin, &pool, NULL), 0);
    scree_pool_run(pool, N_TILES, note_place, &places);
    scree_pool_free(pool);
    assert_int_equal(places.n_elsewhere, 0);
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
}

static double cpu_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void test_idle_threads_take_no_time(void **state)
{
    const struct timespec nap = {.tv_nsec = 100000000};
    struct wave wave = {.n = 64};
    struct scree_pool *pool;
    double before;

    (void)state;
    assert_int_equal(scree_pool_new(N_THREADS, NULL, &pool, NULL), 0);
    scree_pool_wake(pool);
    make_waves(pool, &wave, 10);
    before = cpu_ms();
    nanosleep(&nap, NULL);
    assert_true(cpu_ms() - before < 20);
    scree_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_each_tile_once),
        cmocka_unit_test(test_uses_fewer_threads),
        cmocka_unit_test(test_loops_follow_each_other),
        cmocka_unit_test(test_wakes_and_stops_at_any_time),
        cmocka_unit_test(test_threads_stay_where_they_are_put),
        cmocka_unit_test(test_idle_threads_take_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
