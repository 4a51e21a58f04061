/* The parts of the server that need no socket: who is next, what was counted, what a form holds. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "net/accept.h"
#include "net/base64.h"
#include "net/multipart.h"
#include "net/pb.h"
#include "serve/http_request.h"
#include "serve/metrics.h"
#include "serve/oip.h"
#include "serve/repository.h"
#include "serve/strict.h"
#include "serve/turns.h"

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#define FAR_AWAY (now_ns() + UINT64_C(60000000000))

/* ---- turns ---- */

static void test_turns_hand_out_each_thing_once(void **state)
{
    struct scree_turns turns;
    struct scree_error err;
    uint32_t a, b, c;

    (void)state;
    scree_turns_init(&turns, 2, 0);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &a, &err), 0);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &b, &err), 0);
    assert_true(a + b == 1);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &c, &err), -EBUSY);
    assert_string_equal(err.text, "0 requests wait already");
    scree_turns_give(&turns, b);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_LOW, FAR_AWAY, &c, &err), 0);
    assert_int_equal(c, b);
    scree_turns_give(&turns, a);
    scree_turns_give(&turns, c);
    scree_turns_done(&turns);
}

static void test_turns_keep_deadlines(void **state)
{
    struct scree_turns turns;
    struct scree_error err;
    uint32_t a, b, waiting, busy;

    (void)state;
    scree_turns_init(&turns, 1, 4);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &a, &err), 0);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, now_ns() + 20000000, &b, &err),
                     -ETIMEDOUT);
    scree_turns_count(&turns, &waiting, &busy);
    assert_true(waiting == 0 && busy == 1);
    scree_turns_give(&turns, a);
    scree_turns_done(&turns);
}

struct waiter {
    struct scree_turns *turns;
    enum scree_priority priority;
    int rc;
    int *n_served; /* under the turn */
    int place;
};

static void *wait_in_line(void *arg)
{
    struct waiter *waiter = arg;
    uint32_t index;

    waiter->rc = scree_turns_take(waiter->turns, waiter->priority, FAR_AWAY, &index, NULL);
    if (waiter->rc == 0) {
        waiter->place = (*waiter->n_served)++;
        scree_turns_give(waiter->turns, index);
    }
    return NULL;
}

/* Starts a thread and waits until it stands in the line. */
static pthread_t join(struct waiter *waiter, uint32_t n_before)
{
    uint32_t waiting = n_before, busy;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wait_in_line, waiter), 0);
    while (waiting == n_before)
        scree_turns_count(waiter->turns, &waiting, &busy);
    return thread;
}

static void test_turns_by_priority_then_arrival(void **state)
{
    static const enum scree_priority priorities[] = {SCREE_PRIORITY_LOW, SCREE_PRIORITY_NORMAL,
                                                     SCREE_PRIORITY_HIGH, SCREE_PRIORITY_NORMAL};
    static const int places[] = {3, 1, 0, 2};
    struct waiter waiters[4];
    pthread_t threads[4];
    struct scree_turns turns;
    int n_served = 0;
    uint32_t a;

    (void)state;
    scree_turns_init(&turns, 1, 8);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &a, NULL), 0);
    for (uint32_t i = 0; i < 4; i++) {
        waiters[i] = (struct waiter){&turns, priorities[i], 0, &n_served, -1};
        threads[i] = join(&waiters[i], i);
    }
    scree_turns_give(&turns, a);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(waiters[i].rc, 0);
        assert_int_equal(waiters[i].place, places[i]);
    }
    scree_turns_done(&turns);
}

/* ---- turns, and work by a crew ---- */

struct task {
    struct scree_turn_work work;
    struct scree_turns *turns;
    struct scree_workers *crew;
    enum scree_priority priority;
    uint64_t deadline_ns;
    atomic_int *n_done;
    int rc, place;
    pthread_t worked_on;
};

static void note_place(struct scree_turn_work *work)
{
    struct task *task = (struct task *)work;

    task->place = atomic_fetch_add(task->n_done, 1);
    task->worked_on = pthread_self();
}

static void *have_it_done(void *arg)
{
    struct task *task = arg;

    task->rc = scree_turns_work(task->turns, task->crew, task->priority, task->deadline_ns,
                                &task->work, NULL);
    return NULL;
}

static pthread_t begin_task(struct task *task, uint32_t n_before)
{
    uint32_t waiting = n_before, busy;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, have_it_done, task), 0);
    while (waiting == n_before)
        scree_turns_count(task->turns, &waiting, &busy);
    return thread;
}

/* Waits until it has a thing. */
static pthread_t begin_busy(struct task *task)
{
    uint32_t waiting, busy = 0;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, have_it_done, task), 0);
    while (busy == 0)
        scree_turns_count(task->turns, &waiting, &busy);
    return thread;
}

/* Takes the only place in the crew. Its thread has left that a moment after who asked has its
 * answer. */
static void enter(struct scree_workers *crew)
{
    while (!scree_workers_enter(crew))
        sched_yield();
}

/* One thread does all that was in line, in order of priority; who waits too long, and who comes
 * when the line is full, is told so, and its work is not begun; who need not wait does it at once.
 */
static void test_turns_are_worked_on_by_a_crew(void **state)
{
    static const enum scree_priority priorities[] = {SCREE_PRIORITY_LOW, SCREE_PRIORITY_NORMAL,
                                                     SCREE_PRIORITY_HIGH};
    static const int places[] = {2, 1, 0};
    struct scree_workers *crew;
    struct task tasks[3], last;
    struct scree_turns turns;
    pthread_t threads[3];
    atomic_int n_done;
    uint32_t a;

    (void)state;
    atomic_init(&n_done, 0);
    scree_turns_init(&turns, 1, 3);
    assert_int_equal(scree_workers_new(1, &crew, NULL), 0);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &a, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        tasks[i] = (struct task){.work.run = note_place,
                                 .turns = &turns,
                                 .crew = crew,
                                 .priority = priorities[i],
                                 .deadline_ns = FAR_AWAY,
                                 .n_done = &n_done};
        if (i < 2)
            threads[i] = begin_task(&tasks[i], i);
    }
    last = tasks[2];
    last.deadline_ns = now_ns() + 10000000;
    (void)have_it_done(&last);
    assert_int_equal(last.rc, -ETIMEDOUT);
    threads[2] = begin_task(&tasks[2], 2);
    (void)have_it_done(&last);
    assert_int_equal(last.rc, -EBUSY);
    assert_int_equal(atomic_load(&n_done), 0);
    scree_turns_give(&turns, a);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(tasks[i].rc, 0);
        assert_int_equal(tasks[i].place, places[i]);
        assert_true(pthread_equal(tasks[i].worked_on, tasks[0].worked_on));
        assert_false(pthread_equal(tasks[i].worked_on, threads[i]));
    }
    enter(crew);
    scree_workers_leave(crew);
    (void)have_it_done(&last);
    assert_int_equal(last.rc, 0);
    assert_true(pthread_equal(last.worked_on, pthread_self()));
    /* With a thing, but no place in the crew. */
    enter(crew);
    assert_false(scree_workers_enter(crew));
    threads[0] = begin_busy(&tasks[0]);
    assert_int_equal(atomic_load(&n_done), 4);
    scree_workers_leave(crew);
    pthread_join(threads[0], NULL);
    assert_int_equal(tasks[0].place, 4);
    assert_false(pthread_equal(tasks[0].worked_on, threads[0]));
    scree_turns_close(&turns);
    (void)have_it_done(&last);
    assert_int_equal(last.rc, -EAGAIN);
    assert_int_equal(atomic_load(&n_done), 5);
    scree_workers_free(crew);
    scree_turns_done(&turns);
}

static void do_nothing(struct scree_turn_work *work)
{
    (void)work;
}

/* The crew is through before who asked begins to wait. */
static void test_turns_of_work_that_takes_no_time(void **state)
{
    struct scree_workers *crew;
    struct scree_turns turns;

    (void)state;
    scree_turns_init(&turns, 1, 1);
    assert_int_equal(scree_workers_new(2, &crew, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        struct scree_turn_work work = {.run = do_nothing};

        assert_int_equal(
            scree_turns_work(&turns, crew, SCREE_PRIORITY_NORMAL, FAR_AWAY, &work, NULL), 0);
        assert_true(turns.free == 1);
    }
    scree_workers_free(crew);
    scree_turns_done(&turns);
}

struct member {
    struct scree_turns *turns;
    uint32_t n_rows, index;
    uint64_t deadline_ns;
    struct scree_turn_waiter waiter;
    int rc;
};

static void *join_others(void *arg)
{
    struct member *member = arg;

    member->rc = scree_turns_join(member->turns, SCREE_PRIORITY_NORMAL, member->deadline_ns,
                                  member->n_rows, &member->waiter, &member->index, NULL);
    if (member->rc == 0)
        scree_turns_give(member->turns, member->index);
    return NULL;
}

static pthread_t join_member(struct member *member, uint32_t n_before)
{
    uint32_t waiting = n_before, busy;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, join_others, member), 0);
    while (waiting == n_before)
        scree_turns_count(member->turns, &waiting, &busy);
    return thread;
}

/* Of 3, 2 and 1 rows those are taken along that there is room for, in their order; the others have
 * their own turn. One that is taken waits for its end, though its deadline has passed. */
static void test_turns_are_shared(void **state)
{
    static const uint32_t n_rows[] = {3, 2, 1};
    struct scree_turn_waiter *taken[8];
    struct member members[3];
    struct scree_turns turns;
    struct timespec pause = {.tv_nsec = 30000000};
    pthread_t threads[3];
    uint32_t a, n;

    (void)state;
    scree_turns_init(&turns, 1, 8);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &a, NULL), 0);
    assert_int_equal(scree_turns_gather(&turns, 8, 0, taken), 0);
    for (uint32_t i = 0; i < 3; i++) {
        members[i] = (struct member){.turns = &turns, .n_rows = n_rows[i], .deadline_ns = FAR_AWAY};
        if (i == 2)
            members[i].deadline_ns = now_ns() + 10000000000;
        threads[i] = join_member(&members[i], i);
    }
    assert_int_equal(scree_turns_rows(&turns), 6);
    n = scree_turns_gather(&turns, 4, 0, taken);
    assert_int_equal(n, 2);
    assert_ptr_equal(taken[0], &members[0].waiter);
    assert_ptr_equal(taken[1], &members[2].waiter);
    assert_int_equal(scree_turns_rows(&turns), 2);
    scree_turns_give(&turns, a);
    pthread_join(threads[1], NULL);
    assert_int_equal(members[1].rc, 0);
    (void)nanosleep(&pause, NULL);
    scree_turns_end(&turns, taken[0]);
    scree_turns_end(&turns, taken[1]);
    for (int i = 0; i < 3; i += 2) {
        pthread_join(threads[i], NULL);
        assert_int_equal(members[i].rc, 1);
    }
    scree_turns_done(&turns);
}

/* Who waits for more rows is joined by who comes, though there is a thing for them, and goes on at
 * once when it has enough. */
static void test_turns_wait_for_others(void **state)
{
    struct scree_turn_waiter *taken[2];
    struct member members[2];
    struct scree_turns turns;
    pthread_t threads[2];
    uint32_t a;

    (void)state;
    scree_turns_init(&turns, 2, 8);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &a, NULL), 0);
    assert_int_equal(scree_turns_gather(&turns, 2, 1000000, taken), 0);
    scree_turns_give(&turns, a);
    scree_turns_resize(&turns, 1);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &a, NULL), 0);
    for (uint32_t i = 0; i < 2; i++) {
        members[i] = (struct member){.turns = &turns, .n_rows = 1, .deadline_ns = FAR_AWAY};
        assert_int_equal(pthread_create(&threads[i], NULL, join_others, &members[i]), 0);
    }
    assert_int_equal(scree_turns_gather(&turns, 2, 60000000000, taken), 2);
    for (int i = 0; i < 2; i++) {
        scree_turns_end(&turns, taken[i]);
        pthread_join(threads[taken[i] == &members[1].waiter], NULL);
    }
    assert_int_equal(members[0].rc + members[1].rc, 2);
    scree_turns_give(&turns, a);
    scree_turns_done(&turns);
}

static void test_turns_close(void **state)
{
    struct waiter waiter;
    struct scree_turns turns;
    pthread_t thread;
    int n_served = 0;
    uint32_t a, b;

    (void)state;
    scree_turns_init(&turns, 1, 8);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &a, NULL), 0);
    waiter = (struct waiter){&turns, SCREE_PRIORITY_HIGH, 0, &n_served, -1};
    thread = join(&waiter, 0);
    scree_turns_close(&turns);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.rc, -EAGAIN);
    scree_turns_give(&turns, a);
    assert_int_equal(scree_turns_take(&turns, SCREE_PRIORITY_NORMAL, FAR_AWAY, &b, NULL), -EAGAIN);
    scree_turns_done(&turns);
}

/* ---- metrics ---- */

static void test_metrics_text(void **state)
{
    static const char want[] =
        "# HELP npu_inference_total Total number of inferences\n"
        "# TYPE npu_inference_total counter\n"
        "npu_inference_total 3\n"
        "# HELP npu_inference_time_seconds_avg Average inference time in seconds\n"
        "# TYPE npu_inference_time_seconds_avg gauge\n"
        "npu_inference_time_seconds_avg 0.012500\n"
        "# HELP npu_request_rejected_total Requests refused, by reason\n"
        "# TYPE npu_request_rejected_total counter\n"
        "npu_request_rejected_total{reason=\"deadline\"} 1\n"
        "npu_request_rejected_total{reason=\"queue_full\"} 2\n";
    struct scree_buffer text = {.limit = 1 << 20};
    struct scree_metrics *metrics;

    (void)state;
    assert_int_equal(scree_metrics_new(&metrics, NULL), 0);
    scree_metrics_add(metrics, SCREE_METRIC_INFERENCES, "", 3);
    scree_metrics_set(metrics, SCREE_METRIC_INFERENCE_AVERAGE, "", 0.0125);
    scree_metrics_add(metrics, SCREE_METRIC_REJECTED, "reason=\"deadline\"", 1);
    scree_metrics_add(metrics, SCREE_METRIC_REJECTED, "reason=\"queue_full\"", 2);
    scree_metrics_set(metrics, SCREE_METRIC_QUEUE_DEPTH, "model=\"m\"", 2);
    scree_metrics_clear(metrics, SCREE_METRIC_QUEUE_DEPTH);
    scree_metrics_write(metrics, &text);
    assert_int_equal(text.n, sizeof want - 1);
    assert_memory_equal(text.bytes, want, text.n);
    scree_buffer_done(&text);
    scree_metrics_free(metrics);
}

static void test_metrics_histogram(void **state)
{
    struct scree_buffer text = {.limit = 1 << 20};
    struct scree_metrics *metrics;

    (void)state;
    assert_int_equal(scree_metrics_new(&metrics, NULL), 0);
    scree_metrics_observe(metrics, SCREE_METRIC_QUEUE_SECONDS, "model=\"m\"", 0.001);
    scree_metrics_observe(metrics, SCREE_METRIC_QUEUE_SECONDS, "model=\"m\"", 0.0011);
    scree_metrics_observe(metrics, SCREE_METRIC_QUEUE_SECONDS, "model=\"m\"", 100);
    scree_metrics_write(metrics, &text);
    scree_buffer_add(&text, "", 1);
    assert_non_null(strstr((char *)text.bytes, "_bucket{model=\"m\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr((char *)text.bytes, "_bucket{model=\"m\",le=\"0.002\"} 2\n"));
    assert_non_null(strstr((char *)text.bytes, "_bucket{model=\"m\",le=\"2.5\"} 2\n"));
    assert_non_null(strstr((char *)text.bytes, "_bucket{model=\"m\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr((char *)text.bytes, "_count{model=\"m\"} 3\n"));
    assert_non_null(strstr((char *)text.bytes, "_sum{model=\"m\"} 100.002100\n"));
    scree_buffer_done(&text);
    scree_metrics_free(metrics);
}

static bool is_first_version(void *context, const char *labels)
{
    (*(int *)context)++;
    return strcmp(labels, "version=\"1\"") == 0;
}

static void test_metrics_are_forgotten(void **state)
{
    struct scree_metrics *metrics;
    int n_asked = 0;

    (void)state;
    assert_int_equal(scree_metrics_new(&metrics, NULL), 0);
    scree_metrics_add(metrics, SCREE_METRIC_REQUESTS, "version=\"1\"", 5);
    scree_metrics_add(metrics, SCREE_METRIC_REQUESTS, "version=\"2\"", 6);
    scree_metrics_add(metrics, SCREE_METRIC_REJECTED, "version=\"1\"", 7);
    scree_metrics_forget(metrics, SCREE_METRIC_REQUESTS, is_first_version, &n_asked);
    assert_int_equal(n_asked, 2);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_REQUESTS, "version=\"1\"") == 0);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_REQUESTS, "version=\"2\"") == 6);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_REJECTED, "version=\"1\"") == 7);
    scree_metrics_free(metrics);
}

static void test_metrics_have_a_limit(void **state)
{
    struct scree_buffer text = {.limit = 1 << 20};
    struct scree_metrics *metrics;
    char labels[32];

    (void)state;
    assert_int_equal(scree_metrics_new(&metrics, NULL), 0);
    for (int i = 0; i < SCREE_METRICS_MAX_SERIES + 10; i++) {
        (void)snprintf(labels, sizeof labels, "reason=\"%d\"", i);
        scree_metrics_add(metrics, SCREE_METRIC_REJECTED, labels, 1);
    }
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_REJECTED, "reason=\"4095\"") == 1);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_REJECTED, "reason=\"4096\"") == 0);
    scree_buffer_done(&text);
    scree_metrics_free(metrics);
}

/* ---- forms ---- */

#define MAX_PARTS_TEXT 256

/* Reads a form of boundary "b"; returns the last rc, and the parts as "name=data;" in
 * parts char[MAX_PARTS_TEXT]. */
static int read_form(const char *body, size_t n, char *parts)
{
    struct scree_multipart form;
    struct scree_part part;
    int rc = scree_multipart_init(&form, "multipart/form-data; boundary=b", 8,
                                  (const uint8_t *)body, n, NULL);
    size_t at = 0;

    *parts = 0;
    while (rc >= 0 && (rc = scree_multipart_next(&form, &part, NULL)) > 0)
        at += (size_t)snprintf(parts + at, MAX_PARTS_TEXT - at, "%.*s%s=%.*s;", (int)part.name.n,
                               (const char *)part.name.bytes, part.has_filename ? "!" : "",
                               (int)part.data.n, (const char *)part.data.bytes);
    return rc;
}

#define FIELD(name, data) "\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" data

static void test_forms(void **state)
{
    static const struct {
        const char *body, *parts;
        int rc;
    } cases[] = {
        {"--b" FIELD("a", "1") "\r\n--b" FIELD("c", "") "\r\n--b--\r\n", "a=1;c=;", 0},
        {"--b\r\ncontent-disposition:form-data;name=x;filename=\"a;b\\\".jpg\"\r\n"
         "Content-Type: image/jpeg\r\n\r\n\r\n--\r\n--c\r\n--b--",
         "x!=\r\n--\r\n--c;", 0},
        {"preamble\r\n--b" FIELD("a", "1") "\r\n--b--", "a=1;", 0},
        {"--b--\r\n", "", 0},
        {"", "", -EBADMSG},
        {"--c" FIELD("a", "1") "\r\n--c--", "", -EBADMSG},
        {"--b" FIELD("a", "1"), "", -EBADMSG},
        {"--b" FIELD("a", "1") "\r\n--", "", -EBADMSG},
        {"--b" FIELD("a", "1") "\r\n--b", "a=1;", -EBADMSG},
        {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n", "", -EBADMSG},
        {"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", "", -EBADMSG},
    };
    char parts[MAX_PARTS_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].body);
        char *body = malloc(n ? n : 1);
        int rc;

        memcpy(body, cases[i].body, n);
        rc = read_form(body, n, parts);
        if (rc != cases[i].rc || strcmp(parts, cases[i].parts) != 0)
            fail_msg("case %zu: %d, '%s'", i, rc, parts);
        /* No prefix is read past its end, which a sanitizer would tell. */
        for (size_t k = 0; k < n; k++) {
            char *prefix = malloc(k ? k : 1);

            memcpy(prefix, body, k);
            (void)read_form(prefix, k, parts);
            free(prefix);
        }
        free(body);
    }
}

static void test_forms_without_boundary(void **state)
{
    static const char *const types[] = {"multipart/form-data", "multipart/form-data; boundary=",
                                        "multipart/form-data; boundary=\"\""};
    struct scree_multipart form;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(scree_multipart_init(&form, types[i], 8, NULL, 0, NULL), -EBADMSG);
    assert_true(scree_multipart_is("Multipart/Form-Data; boundary=x"));
    assert_false(scree_multipart_is(NULL) || scree_multipart_is("image/jpeg"));
}

static void test_base64(void **state)
{
    static const struct {
        const char *text, *bytes;
        ssize_t n;
    } cases[] = {
        {"", "", 0},
        {"Zg==", "f", 1},
        {"Zm8=", "fo", 2},
        {"Zm9v", "foo", 3},
        {"Zm9vYg", "foob", 4},
        {"Zm9v\nYmFy\r\n", "foobar", 6},
        {"//+/", "\xff\xff\xbf", 3},
        {"Z", "", -1},
        {"Zg=", "", -1},
        {"Zg==Zg==", "", -1},
        {"Zm9*", "", -1},
        {"====", "", -1},
    };
    uint8_t bytes[16];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ssize_t n = scree_base64_decode(cases[i].text, strlen(cases[i].text), bytes);

        if (n != cases[i].n || (n > 0 && memcmp(bytes, cases[i].bytes, (size_t)n) != 0))
            fail_msg("case %zu: %zd", i, n);
    }
}

/* ---- names ---- */

static void test_base64_there_and_back(void **state)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                 {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xef\xbe", "/+++"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].bytes), n_text = SCREE_BASE64_SIZE(n);
        char text[16] = "";
        uint8_t back[16];

        scree_base64_encode((const uint8_t *)cases[i].bytes, n, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(scree_base64_decode(text, n_text, back), n);
        assert_memory_equal(back, cases[i].bytes, n);
    }
}

static void test_accept(void **state)
{
    static const struct {
        const char *accept;
        int quality; /* of image/jpeg */
    } cases[] = {
        {NULL, 0},
        {"", 0},
        {"*/*", 0},
        {"image/*", 0},
        {"image/jpeg", 1000},
        {"IMAGE/Jpeg;q=0.5", 500},
        {"text/html, image/jpeg ; q=0.25 , */*", 250},
        {"image/jpeg2000, image/jpeg;level=1;q=0.125", 125},
        {"image/jpeg;level=1, text/html;q=0.5", 1000},
        {"image/jpeg;q=0", 0},
        {"image/jpeg;q=x", 0},
        {"image/jpeg;q=9", 1000},
        {"image/jpeg;q=", 0},
        {",,;,image/jpeg", 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(scree_accept_quality(cases[i].accept, "image/jpeg"), cases[i].quality);
}

static void test_model_names(void **state)
{
    char longest[66];

    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[64] = 0;
    assert_true(scree_model_name_is_valid("mobilenet_v1-1.0") &&
                scree_model_name_is_valid(longest));
    longest[64] = 'a';
    longest[65] = 0;
    assert_false(scree_model_name_is_valid("") || scree_model_name_is_valid(longest) ||
                 scree_model_name_is_valid(".a") || scree_model_name_is_valid("a..b") ||
                 scree_model_name_is_valid("a/b") || scree_model_name_is_valid("a\"b"));
}

/* Lines as libmicrohttpd leaves them: "\0" for colons, two of them for the end of a line. */
static void test_strict_headers(void **state)
{
    static const struct {
        const char *bytes;
        size_t n, n_headers;
        bool is_good;
    } cases[] = {
#define LINES(text, n_headers, is_good) {text, sizeof text - 1, n_headers, is_good}
        LINES("\0\0", 0, true),
        LINES("A\0 b\0\0\0\0", 1, true),
        LINES("A\0b\0\0C\0\t d e\t\0\0\0\0", 2, true),
        LINES("A\0\0\0\0\0", 1, true),
        LINES("A\0\xff\0\0\0\0", 1, true),
        LINES("", 0, false),
        LINES("\0", 0, false),
        LINES("\0\0\0", 0, false),
        LINES("A\0b\0\0\0\0", 0, false),
        LINES("A\0b\0\0\0\0", 2, false),
        LINES("A\0b\0\0C\0d\0\0\0\0", 1, false),
        LINES("A\0b\0C\0d\0\0\0\0", 2, false),
        LINES("A\0b\0\0\0", 1, false),
        LINES("A\0b\0\0", 1, false),
        LINES("A\0b", 1, false),
        LINES("A", 1, false),
        LINES("A b\0c\0\0\0\0", 1, false),
        LINES(" A\0c\0\0\0\0", 1, false),
        LINES("\0c\0\0\0\0", 1, false),
        LINES("A\0\x01\0\0\0\0", 1, false),
        LINES("A\0\x7f\0\0\0\0", 1, false),
        LINES("A\0b\rc\0\0\0\0", 1, false),
#undef LINES
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* In memory that ends behind it. */
        char *bytes = malloc(cases[i].n ? cases[i].n : 1);

        assert_non_null(bytes);
        memcpy(bytes, cases[i].bytes, cases[i].n);
        if (scree_strict_headers(bytes, cases[i].n, cases[i].n_headers) != cases[i].is_good)
            fail_msg("case %zu", i);
        free(bytes);
    }
    assert_true(scree_strict_target("/a?b=%20\xc3\xa9"));
    assert_false(scree_strict_target("/a b") || scree_strict_target("/a\x7f") ||
                 scree_strict_target("/\r") || scree_strict_target(NULL));
}

static void test_strict_header(void **state)
{
    static const struct {
        const char *name, *value;
        bool is_good;
    } cases[] = {
        {"X-a~1", "b: \t\xff", true}, {"A", "", true},      {"", "b", false},
        {"X(Y)", "b", false},         {"X Y", "b", false},  {"X\xe9", "b", false},
        {"A", "b\x01", false},        {"A", "\x7f", false}, {"A", "b\nc", false},
        {"A\tb", "c", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *name = cases[i].name, *value = cases[i].value;

        if (scree_strict_header(name, strlen(name), value, strlen(value)) != cases[i].is_good)
            fail_msg("case %zu", i);
    }
    assert_false(scree_strict_header("A", 1, "b\0c", 3) || scree_strict_header("A\0", 2, "b", 1));
    assert_true(scree_strict_header("A", 1, NULL, 0));
}

/* ---- tensors in requests ---- */

#define N_NUMBERS 200000

/* A number of one byte becomes one of eight. */
static void test_small_numbers_of_wide_types(void **state)
{
    static struct scree_oip_request request;
    struct scree_buffer body = {.limit = SIZE_MAX};
    struct scree_error err;
    size_t input, contents, numbers, dims;

    (void)state;
    input = scree_pb_begin(&body, 5);
    scree_pb_add_text(&body, 1, "x");
    scree_pb_add_text(&body, 2, "INT64");
    dims = scree_pb_begin(&body, 3);
    scree_pb_put_varint(&body, N_NUMBERS);
    scree_pb_end(&body, dims);
    contents = scree_pb_begin(&body, 5);
    numbers = scree_pb_begin(&body, 3);
    for (int i = 0; i < N_NUMBERS; i++)
        scree_pb_put_varint(&body, (uint64_t)i % 128);
    scree_pb_end(&body, numbers);
    scree_pb_end(&body, contents);
    scree_pb_end(&body, input);
    assert_false(body.failed);
    scree_oip_request_init(&request, body.n);
    assert_int_equal(scree_oip_read_pb(&request, body.bytes, body.n, &err), 0);
    assert_int_equal(request.n_inputs, 1);
    assert_int_equal(request.inputs[0].n, N_NUMBERS * sizeof(int64_t));
    for (int64_t i = 0; i < N_NUMBERS; i++) {
        int64_t value;

        memcpy(&value, request.inputs[0].bytes + (size_t)i * sizeof value, sizeof value);
        assert_int_equal(value, i % 128);
    }
    scree_oip_request_done(&request);
    scree_buffer_done(&body);
}

static bool is_out_of_memory; /* buffers grow no more */

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_realloc(void *p, size_t n)
{
    return is_out_of_memory ? NULL : __real_realloc(p, n);
}

static void test_a_reply_without_memory(void **state)
{
    struct scree_request request = {0};

    (void)state;
    is_out_of_memory = true;
    scree_reply_text(&request, 413, "the body is too large");
    is_out_of_memory = false;
    assert_int_equal(request.status, 500);
    assert_string_equal(request.type, "application/json");
    assert_memory_equal(request.static_reply, "{\"error\":\"no memory", 19);
    scree_reply_done(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_hand_out_each_thing_once),
        cmocka_unit_test(test_turns_keep_deadlines),
        cmocka_unit_test(test_turns_by_priority_then_arrival),
        cmocka_unit_test(test_turns_are_worked_on_by_a_crew),
        cmocka_unit_test(test_turns_of_work_that_takes_no_time),
        cmocka_unit_test(test_turns_are_shared),
        cmocka_unit_test(test_turns_wait_for_others),
        cmocka_unit_test(test_turns_close),
        cmocka_unit_test(test_metrics_text),
        cmocka_unit_test(test_metrics_histogram),
        cmocka_unit_test(test_metrics_are_forgotten),
        cmocka_unit_test(test_metrics_have_a_limit),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_forms_without_boundary),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_there_and_back),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_model_names),
        cmocka_unit_test(test_small_numbers_of_wide_types),
        cmocka_unit_test(test_a_reply_without_memory),
        cmocka_unit_test(test_strict_headers),
        cmocka_unit_test(test_strict_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
