/* A REP socket and its places: who keeps one, and which files are its own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "serve/zmq.h"

#define GREETING                                       \
    "\xff\0\0\0\0\0\0\0\1\x7f\3\1"                     \
    "NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"             \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" \
    "\0\0\0\0\0\0\0\0"
#define READY      "\4\x19\5READY\13Socket-Type\0\0\0\3REQ"
#define HANDSHAKE  (64 + 27) /* bytes of the server's */
#define PATIENCE_S 20

/* ---- the clock ---- */

static atomic_long later_s; /* than it is */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int rc = __real_clock_gettime(clock, now);

    now->tv_sec += later_s;
    return rc;
}

/* ---- the server ---- */

struct scene {
    char folder[32], path[64], endpoint[80];
    struct scree_log log;
    atomic_bool is_held; /* answers to "wait" */
    atomic_uint n_waiting;
    struct scree_zmq *zmq;
};

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void answer(void *context, struct scree_zmq_peer *peer)
{
    struct scene *scene = context;
    struct scree_zmtp *wire = scree_zmq_wire(peer);
    bool waits = scree_span_is(scree_zmtp_frame(wire, 0, NULL), "wait");

    if (waits)
        scene->n_waiting++;
    while (waits && scene->is_held)
        nap();
    scree_zmtp_reply(wire, &(struct scree_span){(const uint8_t *)"yes", 3}, 1);
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){.folder = "/tmp/scree-zmq-XXXXXX"};
    later_s = 0;
    assert_non_null(mkdtemp(scene->folder));
    (void)snprintf(scene->path, sizeof scene->path, "%s/zmq", scene->folder);
    (void)snprintf(scene->endpoint, sizeof scene->endpoint, "ipc://%s", scene->path);
    scree_log_init(&scene->log, STDERR_FILENO, SCREE_LOG_ERROR, SCREE_LOG_TEXT);
}

static int open_zmq(struct scene *scene)
{
    struct scree_error err;

    return scree_zmq_new(scene->endpoint, answer, scene, &scene->log, &scene->zmq, &err);
}

static void end(struct scene *scene)
{
    (void)unlink(scene->path);
    assert_int_equal(rmdir(scene->folder), 0);
}

/* ---- its peers ---- */

static int connect_path(const struct scene *scene, int flags)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", scene->path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Connects and greets; whether it is let in is seen by what it reads. */
static int greet(const struct scene *scene)
{
    static const char greeting[] = GREETING READY;
    int fd = connect_path(scene, 0);

    assert_true(fd >= 0);
    (void)send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL);
    return fd;
}

static void enter(const struct scene *scene, int *ret_fd)
{
    char bytes[HANDSHAKE];

    *ret_fd = greet(scene);
    assert_int_equal(recv(*ret_fd, bytes, sizeof bytes, MSG_WAITALL), HANDSHAKE);
}

static void ask(int fd, const char *text)
{
    char bytes[16] = {1, 0, 0, (char)strlen(text)};

    memcpy(bytes + 4, text, strlen(text));
    assert_int_equal(send(fd, bytes, 4 + strlen(text), MSG_NOSIGNAL), 4 + strlen(text));
}

static void assert_yes(int fd)
{
    char bytes[7];

    assert_int_equal(recv(fd, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
    assert_memory_equal(bytes, "\1\0\0\3yes", sizeof bytes);
}

/* ---- tests ---- */

/* Of sixteen peers one has waited for its answer for over a minute. It is not the one to leave, and
 * who comes does not wait with it. */
static void test_who_waits_stays(void **state)
{
    int fds[SCREE_ZMQ_MAX_PEERS], late;
    struct scene scene;
    char byte;

    (void)state;
    begin(&scene);
    scene.is_held = true;
    assert_int_equal(open_zmq(&scene), 0);
    for (int i = 0; i < SCREE_ZMQ_MAX_PEERS; i++)
        enter(&scene, &fds[i]);
    ask(fds[0], "wait");
    for (int i = 0; i < PATIENCE_S * 500 && scene.n_waiting == 0; i++)
        nap();
    assert_int_equal(scene.n_waiting, 1);
    later_s = 61;
    for (int i = 1; i < SCREE_ZMQ_MAX_PEERS; i++) {
        ask(fds[i], "now");
        assert_yes(fds[i]);
    }
    late = greet(&scene);
    errno = 0;
    assert_true(recv(late, &byte, 1, 0) <= 0 && errno != EAGAIN);
    close(late);
    scene.is_held = false;
    assert_yes(fds[0]);
    /* A minute on, all of them are silent. */
    later_s = 200;
    enter(&scene, &late);
    close(late);
    for (int i = 0; i < SCREE_ZMQ_MAX_PEERS; i++)
        close(fds[i]);
    scree_zmq_free(scene.zmq);
    assert_int_equal(access(scene.path, F_OK), -1);
    end(&scene);
}

/* A socket whose listener does not take anybody in is somebody's. */
static void test_a_full_line_is_taken(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct scene scene;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[64], n = 0;

    (void)state;
    begin(&scene);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", scene.path);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    while (n < 64 && (fds[n] = connect_path(&scene, SOCK_NONBLOCK)) >= 0)
        n++;
    assert_true(n > 0 && n < 64);
    assert_int_equal(open_zmq(&scene), -EBUSY);
    while (n > 0)
        close(fds[--n]);
    close(listener);
    /* Nobody listens now. */
    assert_int_equal(open_zmq(&scene), 0);
    scree_zmq_free(scene.zmq);
    end(&scene);
}

/* What another has put in the place of the socket stays. */
static void test_only_its_own_file_goes(void **state)
{
    struct scene scene;
    int fd;

    (void)state;
    begin(&scene);
    assert_int_equal(open_zmq(&scene), 0);
    assert_int_equal(unlink(scene.path), 0);
    fd = open(scene.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    scree_zmq_free(scene.zmq);
    assert_int_equal(access(scene.path, F_OK), 0);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_waits_stays),
        cmocka_unit_test(test_a_full_line_is_taken),
        cmocka_unit_test(test_only_its_own_file_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
