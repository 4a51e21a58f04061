#include "plugin/kmsg.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/journal.h"

#define MINUTE_NS        UINT64_C(60000000000)
#define MAX_PROCESS_NAME 15

const char *scree_kernel_event_name(enum scree_kernel_event event)
{
    static const char *const names[SCREE_KERNEL_EVENTS] = {"timeout", "reset", "error"};

    return names[event];
}

static bool has(const char *line, size_t n, const char *word)
{
    size_t length = strlen(word);

    for (size_t i = 0; i + length <= n; i++)
        if (strncasecmp(line + i, word, length) == 0)
            return true;
    return false;
}

/* Whether the driver wrote it: "rocket fdab0000.npu: ...". Processes have the kernel log their
 * names, at the beginning of lines too; these have 15 characters, and nothing behind them that a
 * device's name would have. */
static bool is_of_driver(const char *text, size_t n)
{
    static const char driver[] = "rocket ";
    const char *colon = memchr(text, ':', n);
    size_t length = colon ? (size_t)(colon - text) : 0;

    if (length <= MAX_PROCESS_NAME || memcmp(text, driver, sizeof driver - 1) != 0 ||
        memcmp(colon - 4, ".npu", 4) != 0)
        return false;
    for (size_t i = sizeof driver - 1; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '.')
            return false;
    return true;
}

int scree_kernel_event_of(const char *line, size_t n)
{
    const char *text = memchr(line, ';', n); /* "3,412,5123456,-;text" */

    if (text) {
        n -= (size_t)(text + 1 - line);
        line = text + 1;
    }
    if (!has(line, n, "rocket") && !has(line, n, ".npu"))
        return -1;
    if (is_of_driver(line, n) && (has(line, n, "timed out") || has(line, n, "timeout")))
        return SCREE_KERNEL_TIMEOUT;
    if (is_of_driver(line, n) && has(line, n, "reset"))
        return SCREE_KERNEL_RESET;
    return has(line, n, "fail") || has(line, n, "error") || has(line, n, "fault")
               ? SCREE_KERNEL_ERROR
               : -1;
}

static void count(struct scree_kmsg *kmsg, const char *line, size_t n)
{
    int event = scree_kernel_event_of(line, n);

    if (event < 0)
        return;
    kmsg->n_events[event]++;
    if (event != SCREE_KERNEL_ERROR)
        kmsg->at_ns[kmsg->n_at++ % SCREE_KERNEL_REMEMBERED] = scree_now_ns();
}

/* /dev/kmsg gives one record a read; EPIPE says that some were lost. */
static void on_ready(void *context, uint32_t events)
{
    struct scree_kmsg *kmsg = context;
    char bytes[8192];
    ssize_t n = read(kmsg->source.fd, bytes, sizeof bytes);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == EPIPE))
        return;
    if (n <= 0) {
        scree_loop_close(kmsg->loop, &kmsg->source);
        return;
    }
    for (const char *line = bytes, *end = bytes + n; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));

        stop = stop ? stop : end;
        count(kmsg, line, (size_t)(stop - line));
        line = stop + 1;
    }
}

int scree_kmsg_start(struct scree_kmsg *kmsg, struct scree_loop *loop, const char *path)
{
    struct scree_error err;
    struct stat st;
    /* Whoever opens a pipe for writing too does not see its end. */
    bool is_pipe = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
    int fd = open(path, (is_pipe ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *kmsg = (struct scree_kmsg){.source = {.fd = fd, .ready = on_ready, .context = kmsg}};
    if (fd < 0) {
        SCREE_JOURNAL(INFO, "the kernel's log is not read", {"file", path},
                      {"reason", strerror(errno)});
        return -1;
    }
    (void)lseek(fd, 0, SEEK_END);
    if (scree_loop_add(loop, &kmsg->source, EPOLLIN, &err) < 0) {
        SCREE_JOURNAL(WARNING, "the kernel's log is not read", {"file", path},
                      {"reason", err.text});
        close(fd);
        return -1;
    }
    kmsg->loop = loop;
    return 0;
}

void scree_kmsg_done(struct scree_kmsg *kmsg)
{
    if (kmsg->loop)
        scree_loop_close(kmsg->loop, &kmsg->source);
}

uint32_t scree_kmsg_recent(const struct scree_kmsg *kmsg, uint64_t now_ns)
{
    uint32_t n = 0;

    for (uint64_t i = 0; i < kmsg->n_at && i < SCREE_KERNEL_REMEMBERED; i++)
        n += now_ns - kmsg->at_ns[i] < MINUTE_NS;
    return n;
}
