#include "fake_kubelet.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "plugin/journal.h"

#define NS_A_MS UINT64_C(1000000)

/* ---- the node -------------------------------------------------------------------------------- */

void fake_machine(struct fake_kubelet *fake, uint32_t n_npus, uint32_t n_cores, uint32_t first,
                  const char *open_error)
{
    struct scree_buffer text = {.limit = 8192};
    char line[256];
    int n = snprintf(line, sizeof line, "user 0 0\n%s",
                     n_npus > 0 ? "dir /sys/bus/platform/drivers/rocket\n" : "");

    scree_buffer_add(&text, line, (size_t)n);
    for (uint32_t i = 0; n_npus > 0 && i < n_cores; i++) {
        n = snprintf(line, sizeof line,
                     "link /sys/bus/platform/drivers/rocket/fda%c0000.npu ../../x\n"
                     "file /sys/bus/platform/devices/fda%c0000.npu/power/runtime_status\n"
                     "| suspended\n",
                     'b' + (int)i, 'b' + (int)i);
        scree_buffer_add(&text, line, (size_t)n);
    }
    for (uint32_t i = first; i < first + n_npus; i++) {
        n = snprintf(line, sizeof line,
                     "link /sys/class/accel/accel%u/device ../../../rknn\n"
                     "file /sys/class/accel/accel%u/dev\n| 261:%u\n"
                     "node /dev/accel/accel%u 261:%u 0660 0:303 %s\n",
                     i, i, i, i, i, open_error);
        scree_buffer_add(&text, line, (size_t)n);
    }
    assert_false(text.failed);
    assert_int_equal(scree_file_write(fake->machine, text.bytes, text.n, NULL), 0);
    scree_buffer_done(&text);
}

static void make_path(const struct fake_kubelet *fake, char *path, const char *name, bool is_dir)
{
    (void)snprintf(path, FAKE_DIR, "%s/%s", fake->dir, name);
    if (is_dir)
        assert_int_equal(mkdir(path, 0755), 0);
}

void fake_start(struct fake_kubelet *fake)
{
    *fake = (struct fake_kubelet){0};
    (void)snprintf(fake->dir, sizeof fake->dir, "/tmp/scree-plugin-XXXXXX");
    assert_non_null(mkdtemp(fake->dir));
    make_path(fake, fake->plugins, "device-plugins", true);
    make_path(fake, fake->registry, "plugins_registry", true);
    make_path(fake, fake->cdi, "cdi", false);
    make_path(fake, fake->machine, "machine.txt", false);
    make_path(fake, fake->http, "http.sock", false);
    make_path(fake, fake->log, "log", false);
    fake_machine(fake, 1, 3, 0, "");
    assert_int_equal(scree_loop_init(&fake->loop, NULL), 0);
    scree_journal_init("error", false);
}

void fake_end(struct fake_kubelet *fake)
{
    char command[FAKE_DIR];
    pid_t child;

    if (fake->plugin > 0)
        assert_int_equal(fake_stop_plugin(fake), fake->faults ? 128 + SIGTERM : 0);
    fake_kubelet_end(fake);
    scree_loop_done(&fake->loop);
    (void)snprintf(command, sizeof command, "%s", fake->dir);
    child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", command, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(child, NULL, 0);
}

/* ---- the plugin ------------------------------------------------------------------------------ */

#define MAX_ARGUMENTS 48

static void set_adversity(const struct fake_kubelet *fake)
{
#ifdef WITH_EMU
    if (fake->clock || fake->chop || fake->no_inotify) {
        /* The loader goes on without a library that is not there. */
        if (access(ADVERSITY, R_OK) < 0)
            _exit(126);
        (void)setenv("LD_PRELOAD", ADVERSITY, 1);
    }
    if (fake->clock)
        (void)setenv("SCREE_TEST_CLOCK", fake->clock, 1);
    if (fake->chop)
        (void)setenv("SCREE_TEST_CHOP", fake->chop, 1);
    if (fake->no_inotify)
        (void)setenv("SCREE_TEST_NO_INOTIFY", "1", 1);
#else
    (void)fake;
#endif
}

void fake_start_plugin(struct fake_kubelet *fake, const char *const *arguments)
{
    char listen[FAKE_PATH + 8];
    const char *argv[MAX_ARGUMENTS] = {SCREE, "emu", "-q", "--faults", fake->faults, "--"};
    const char *places[] = {PLUGIN,
                            "--kubelet-dir",
                            fake->plugins,
                            "--registry-dir",
                            fake->registry,
                            "--root",
                            fake->faults ? "/" : fake->machine,
                            "--check-ms",
                            "50",
                            "--kmsg",
                            "",
                            "--cdi-dir",
                            fake->cdi,
                            "--listen",
                            listen};
    int n = fake->faults ? 6 : 0;

    (void)snprintf(listen, sizeof listen, "unix:%s", fake->http);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        argv[n++] = places[i];
    for (; arguments && *arguments && n < MAX_ARGUMENTS - 1; arguments++)
        argv[n++] = *arguments;
    argv[n] = NULL;
    fake->plugin = fork();
    if (fake->plugin == 0) {
        int log = open(fake->log, O_WRONLY | O_CREAT | O_APPEND, 0644);

        /* Nothing of a failed test is left behind. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setpgid(0, 0);
        (void)dup2(log, STDOUT_FILENO);
        (void)dup2(log, STDERR_FILENO);
        set_adversity(fake);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_true(fake->plugin > 0);
}

int fake_stop_plugin(struct fake_kubelet *fake)
{
    int status = 0;

    /* On the software NPU it is the child of a program that starts it: both are told. */
    assert_int_equal(kill(fake->faults ? -fake->plugin : fake->plugin, SIGTERM), 0);
    for (int i = 0; i < 1000; i++) {
        if (waitpid(fake->plugin, &status, WNOHANG) == fake->plugin) {
            fake->plugin = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        usleep(10000);
    }
    fail_msg("the plugin does not end");
    return -1;
}

void fake_log(const struct fake_kubelet *fake, char *text, size_t n)
{
    uint8_t *bytes;
    size_t n_bytes;

    text[0] = '\0';
    if (scree_file_read(fake->log, 1 << 20, &bytes, &n_bytes, NULL) < 0)
        return;
    if (n_bytes > n - 1)
        n_bytes = n - 1;
    memcpy(text, bytes, n_bytes);
    text[n_bytes] = '\0';
    free(bytes);
}

int fake_connect(struct fake_kubelet *fake, const char *path)
{
    int fd = scree_unix_connect(path);

    /* Its line of connections may be full for a moment. */
    for (int i = 0; fd == -EAGAIN && i < 500; i++) {
        (void)fake_run(fake, NULL, 10);
        fd = scree_unix_connect(path);
    }
    assert_true(fd >= 0);
    return fd;
}

/* ---- calls to it ----------------------------------------------------------------------------- */

static void read_devices(struct fake_kubelet *fake, const uint8_t *bytes, size_t n)
{
    struct scree_pb_reader list = {bytes, bytes + n}, device;
    struct scree_pb_field field, part;

    fake->n_devices = 0;
    while (scree_pb_next(&list, &field) > 0 && fake->n_devices < FAKE_DEVICES) {
        struct fake_device *to = &fake->devices[fake->n_devices++];

        *to = (struct fake_device){0};
        device = (struct scree_pb_reader){field.bytes, field.bytes + field.n};
        while (scree_pb_next(&device, &part) > 0) {
            if (part.number == 1)
                (void)snprintf(to->id, sizeof to->id, "%.*s", (int)part.n, part.bytes);
            if (part.number == 2)
                to->healthy = part.n == 7 && memcmp(part.bytes, "Healthy", 7) == 0;
        }
    }
}

static void on_message(void *context, struct scree_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct fake_call *to = scree_grpc_user(call);
    struct fake_kubelet *fake = ((struct scree_peer *)context)->owner;

    to->n_messages++;
    scree_buffer_done(&to->reply);
    scree_buffer_add(&to->reply, bytes, n);
    if (to == &fake->watch)
        read_devices(fake, bytes, n);
}

static void on_closed(void *context, struct scree_grpc_call *call, enum scree_grpc_status status,
                      const char *text)
{
    struct fake_call *to = scree_grpc_user(call);

    (void)context;
    to->done = true;
    to->call = NULL;
    to->status = status;
    (void)snprintf(to->text, sizeof to->text, "%s", text ? text : "");
}

static const struct scree_grpc_events events = {.message = on_message, .closed = on_closed};

/* The call's end was told by on_closed; the peer is freed with the call. */
static void on_peer_closed(struct scree_peer *peer)
{
    struct fake_kubelet *fake = peer->owner;
    struct fake_call *watch = &fake->watch;

    if (watch->peer == peer) {
        watch->peer = NULL;
        fake->n_devices = 0;
    }
    scree_peer_free(peer);
}

static void keep_peer(struct scree_peer *peer)
{
    scree_loop_change(peer->loop, &peer->source, 0);
}

void fake_call_begin(struct fake_kubelet *fake, struct fake_call *call, const char *socket,
                     const char *method, const void *request, size_t n)
{
    int fd = fake_connect(fake, socket);

    *call = (struct fake_call){.reply.limit = 1 << 20};
    assert_int_equal(scree_peer_new(&fake->loop, fd, false, &events, fake,
                                    call == &fake->watch ? on_peer_closed : keep_peer, &call->peer,
                                    NULL),
                     0);
    assert_int_equal(scree_grpc_call(call->peer->grpc, "localhost", method, &call->call, NULL), 0);
    scree_grpc_set_user(call->call, call);
    assert_int_equal(scree_grpc_send(call->call, request, n, NULL), 0);
    scree_grpc_finish(call->call, SCREE_GRPC_OK, NULL);
    scree_peer_flush(call->peer);
}

void fake_call_end(struct fake_call *call)
{
    scree_peer_free(call->peer);
    scree_buffer_done(&call->reply);
    *call = (struct fake_call){0};
}

enum scree_grpc_status fake_call(struct fake_kubelet *fake, struct fake_call *call,
                                 const char *socket, const char *method, const void *request,
                                 size_t n)
{
    fake_call_begin(fake, call, socket, method, request, n);
    for (int i = 0; i < 500 && !call->done; i++)
        (void)fake_run(fake, NULL, 10);
    return call->done ? call->status : SCREE_GRPC_DEADLINE_EXCEEDED;
}

void fake_watch(struct fake_kubelet *fake, const char *socket)
{
    fake_call_end(&fake->watch);
    fake->n_devices = 0;
    fake_call_begin(fake, &fake->watch, socket, "/v1beta1.DevicePlugin/ListAndWatch", "", 0);
}

uint32_t fake_n_healthy(const struct fake_kubelet *fake)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < fake->n_devices; i++)
        n += fake->devices[i].healthy;
    return n;
}

const char *fake_endpoint(const struct fake_kubelet *fake, char *path)
{
    (void)snprintf(path, FAKE_PATH, "%s/%s", fake->plugins, fake->registration.endpoint);
    return path;
}

/* ---- the kubelet ----------------------------------------------------------------------------- */

static void copy_text(const struct scree_pb_field *field, char *text, size_t n)
{
    (void)snprintf(text, n, "%.*s", (int)field->n, field->bytes);
}

static void read_registration(struct fake_registration *to, const uint8_t *request, size_t n)
{
    struct scree_pb_reader reader = {request, request + n}, options;
    struct scree_pb_field field, option;

    while (scree_pb_next(&reader, &field) > 0) {
        if (field.number == 1)
            copy_text(&field, to->version, sizeof to->version);
        if (field.number == 2)
            copy_text(&field, to->endpoint, sizeof to->endpoint);
        if (field.number == 3)
            copy_text(&field, to->resource, sizeof to->resource);
        options = (struct scree_pb_reader){field.bytes, field.bytes + field.n};
        while (field.number == 4 && scree_pb_next(&options, &option) > 0)
            to->preferred = to->preferred || (option.number == 2 && option.value == 1);
    }
}

static bool has_cdi(const struct fake_kubelet *fake)
{
    char path[FAKE_PATH * 2];

    (void)snprintf(path, sizeof path, "%s/npu.rockchip.com-rk3588.json", fake->cdi);
    return access(path, R_OK) == 0;
}

/* As the kubelet does it: before it answers it calls back, and the plugin must answer that. */
static void on_register(void *context, struct scree_grpc_call *call, const uint8_t *request,
                        size_t n)
{
    struct fake_kubelet *fake = context;
    struct scree_buffer reply = {.limit = 64};
    struct scree_error err;
    struct fake_call options = {0};
    char path[FAKE_PATH];
    int rc = 0;

    fake->registration.n++;
    fake->registration.at_ns = scree_now_ns();
    read_registration(&fake->registration, request, n);
    fake->registration.cdi_was_there = has_cdi(fake);
    if (fake->mood == FAKE_IS_SILENT)
        return;
    if (fake->mood == FAKE_REFUSES)
        rc = scree_fail(&err, EINVAL, "the resource's name is not to my liking");
    else {
        struct scree_loop loop = fake->loop;

        /* In a loop of its own: this is inside an event of the other. */
        assert_int_equal(scree_loop_init(&fake->loop, NULL), 0);
        fake->registration.options_told =
            fake_call(fake, &options, fake_endpoint(fake, path),
                      "/v1beta1.DevicePlugin/GetDevicePluginOptions", "", 0) == SCREE_GRPC_OK &&
            options.reply.n == 2 && options.reply.bytes[0] == 0x10 && options.reply.bytes[1] == 1;
        fake_call_end(&options);
        scree_loop_done(&fake->loop);
        fake->loop = loop;
    }
    scree_unix_server_answer(call, rc, &reply, &err);
}

static const struct scree_method methods[] = {{"/v1beta1.Registration/Register", on_register}};

static void delete_sockets(const struct fake_kubelet *fake)
{
    char path[FAKE_PATH];

    (void)unlink(fake_endpoint(fake, path));
    (void)snprintf(path, sizeof path, "%s/npu.rockchip.com-rk3588.sock", fake->plugins);
    (void)unlink(path);
}

void fake_kubelet_begin(struct fake_kubelet *fake)
{
    delete_sockets(fake);
    fake->registration = (struct fake_registration){0};
    fake->service = (struct scree_service){.methods = methods, .n_methods = 1, .context = fake};
    assert_int_equal(scree_unix_server_start(&fake->server, &fake->loop, &fake->service,
                                             fake->plugins, "kubelet.sock", NULL),
                     0);
}

void fake_kubelet_end(struct fake_kubelet *fake)
{
    scree_unix_server_done(&fake->server);
    fake_call_end(&fake->watch);
    fake->n_devices = 0;
}

static void on_timer(void *context)
{
    ((struct fake_kubelet *)context)->loop.stopped = true;
}

bool fake_run(struct fake_kubelet *fake, bool (*is_so)(struct fake_kubelet *fake), uint32_t ms)
{
    uint64_t end = scree_now_ns() + ms * NS_A_MS;
    bool so = is_so && is_so(fake);

    while (!so && scree_now_ns() < end) {
        struct scree_timer timer = {
            .at_ns = scree_now_ns() + 2 * NS_A_MS, .due = on_timer, .context = fake};

        fake->loop.timers = &timer;
        fake->loop.stopped = false;
        scree_loop_run(&fake->loop);
        fake->loop.timers = NULL;
        so = is_so && is_so(fake);
    }
    return so;
}

/* ---- metrics --------------------------------------------------------------------------------- */

void fake_get(struct fake_kubelet *fake, const char *path, char *text, size_t n)
{
    char request[256];
    int fd = fake_connect(fake, fake->http);
    size_t done = 0;

    (void)fcntl(fd, F_SETFL, 0);
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    while (done < n - 1) {
        ssize_t got = recv(fd, text + done, n - 1 - done, 0);

        if (got <= 0)
            break;
        done += (size_t)got;
    }
    text[done] = '\0';
    close(fd);
}

double fake_metric(struct fake_kubelet *fake, const char *name)
{
    char text[32768], key[128];
    const char *at;

    fake_get(fake, "/metrics", text, sizeof text);
    (void)snprintf(key, sizeof key, "\n%s ", name);
    at = strstr(text, key);
    return at ? strtod(at + strlen(key), NULL) : -1;
}
