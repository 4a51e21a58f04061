#include "serve/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define MAX_PAIRS 32

/* A line that is being put together; what does not fit is dropped. */
struct line {
    char *text;
    size_t n, capacity;
};

static void add(struct line *line, const char *text, size_t n)
{
    size_t room = line->capacity - line->n;

    n = n < room ? n : room;
    memcpy(line->text + line->n, text, n);
    line->n += n;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

/* With what JSON, and so logfmt, wants escaped. Bytes that are no UTF-8 become "?". */
static void add_quoted(struct line *line, const char *text)
{
    char escape[8], safe[SCREE_LOG_MAX_LINE];
    size_t n = strlen(text) < sizeof safe ? strlen(text) : sizeof safe;

    memcpy(safe, text, n);
    scree_text_make_safe(safe, n);
    add(line, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        if (safe[i] == '"' || safe[i] == '\\') {
            (void)snprintf(escape, sizeof escape, "\\%c", safe[i]);
            add_text(line, escape);
        } else {
            add(line, &safe[i], 1);
        }
    }
    add(line, "\"", 1);
}

static bool is_plain(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '=' || *p == '\\')
            return false;
    return *text != '\0';
}

static void add_pair(struct line *line, enum scree_log_format format, const char *name,
                     const char *value)
{
    const size_t before = line->n;

    if (format == SCREE_LOG_JSON) {
        add_text(line, before <= 1 ? "" : ",");
        add_quoted(line, name);
        add(line, ":", 1);
        add_quoted(line, value);
    } else {
        add_text(line, before == 0 ? "" : " ");
        add_text(line, name);
        add(line, "=", 1);
        if (is_plain(value))
            add_text(line, value);
        else
            add_quoted(line, value);
    }
    if (line->n == line->capacity)
        line->n = before; /* half of it would be no JSON */
}

size_t scree_log_format(const struct scree_log *log, enum scree_log_level level, const char *time,
                        const char *text, const char *const *pairs, char *line, size_t n)
{
    static const char *const levels[] = {"error", "warning", "info", "debug", "info"};
    struct line at = {line, 0, n - 2};

    if (log->format == SCREE_LOG_TEXT) {
        add_text(&at, text);
        scree_text_make_safe(line, at.n);
        line[at.n++] = '\n';
        return at.n;
    }
    if (log->format == SCREE_LOG_JSON)
        add(&at, "{", 1);
    add_pair(&at, log->format, "time", time);
    add_pair(&at, log->format, "level", levels[level]);
    add_pair(&at, log->format, "msg", text + strspn(text, " "));
    for (; pairs[0]; pairs += 2)
        add_pair(&at, log->format, pairs[0], pairs[1]);
    if (log->format == SCREE_LOG_JSON)
        line[at.n++] = '}';
    line[at.n++] = '\n';
    return at.n;
}

void scree_log_init(struct scree_log *log, int fd, enum scree_log_level level,
                    enum scree_log_format format)
{
    *log = (struct scree_log){
        .level = level, .format = format, .fd = fd, .lock = PTHREAD_MUTEX_INITIALIZER};
}

/* A pipe that can be written to takes PIPE_BUF bytes without waiting, if nobody else writes
 * meanwhile. The lock is held. */
static bool put(struct scree_log *log, const char *line, size_t n)
{
    struct pollfd fd = {.fd = log->fd, .events = POLLOUT};

    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) && write(log->fd, line, n) == (ssize_t)n;
}

static bool put_line(struct scree_log *log, enum scree_log_level level, const char *text,
                     const char *const *pairs)
{
    char line[SCREE_LOG_MAX_LINE], time[SCREE_CLOCK_BYTES];

    scree_clock_text(time);
    return put(log, line, scree_log_format(log, level, time, text, pairs, line, sizeof line));
}

/* False if lines were dropped and even that cannot be told. The lock is held. */
static bool put_dropped(struct scree_log *log)
{
    const char *const none[] = {NULL};
    char text[64];

    if (log->n_dropped == 0)
        return true;
    (void)snprintf(text, sizeof text, "%u lines of this log were dropped", log->n_dropped);
    if (!put_line(log, SCREE_LOG_WARNING, text, none))
        return false;
    log->n_dropped = 0;
    return true;
}

void scree_log(struct scree_log *log, enum scree_log_level level, const char *text, ...)
{
    const char *pairs[2 * MAX_PAIRS + 1];
    size_t n = 0;
    va_list list;

    if (level > log->level && level != SCREE_LOG_ALWAYS)
        return;
    va_start(list, text);
    for (const char *name; n < 2 * MAX_PAIRS && (name = va_arg(list, const char *));) {
        pairs[n] = name;
        pairs[n + 1] = va_arg(list, const char *);
        n += pairs[n + 1] ? 2 : 0;
    }
    va_end(list);
    pairs[n] = NULL;
    pthread_mutex_lock(&log->lock);
    if (!put_dropped(log) || !put_line(log, level, text, pairs))
        log->n_dropped++;
    pthread_mutex_unlock(&log->lock);
}
