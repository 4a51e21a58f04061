/* serve/log.h - what the server tells whoever runs it: lines on stderr.
 *
 *     scree_log(&log, SCREE_LOG_INFO, "Model loaded: cat/2", "model", "cat", "ms", "12.3", NULL);
 *
 *     text     Model loaded: cat/2
 *     logfmt   time=2026-01-02T03:04:05.678Z level=info msg="Model loaded: cat/2" model=cat ms=12.3
 *     json     {"time":"...","level":"info","msg":"...","model":"cat","ms":"12.3"}
 *
 * A line is written whole or, if nobody reads and writing would have to wait, dropped and counted:
 * the count is told with the next line. Values are escaped, so that none can make lines of its own.
 *
 * Memory: none. Threads: any. */
#ifndef SCREE_SERVE_LOG_H
#define SCREE_SERVE_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum scree_log_level {
    SCREE_LOG_ERROR,
    SCREE_LOG_WARNING,
    SCREE_LOG_INFO,
    SCREE_LOG_DEBUG,
    SCREE_LOG_ALWAYS, /* written at any level, as "info": what has to be known to use the server */
};

enum scree_log_format {
    SCREE_LOG_TEXT,
    SCREE_LOG_LOGFMT,
    SCREE_LOG_JSON,
};

struct scree_log {
    enum scree_log_level level; /* more than that is not written */
    enum scree_log_format format;
    int fd;
    pthread_mutex_t lock;
    unsigned int n_dropped; /* since that was told */
};

/* The longest line; what does not fit is cut. Source: PIPE_BUF, what a pipe takes as a whole. */
#define SCREE_LOG_MAX_LINE 4096

/* Lines to fd, up to `level`. */
void scree_log_init(struct scree_log *log, int fd, enum scree_log_level level,
                    enum scree_log_format format);

/* Writes a line: a text, then names and values in turn, and NULL; a value NULL is left out, name
 * and all. The format "text" has the text alone. */
void scree_log(struct scree_log *log, enum scree_log_level level, const char *text, ...)
    __attribute__((sentinel));

/* The line that scree_log() would write, with its end, for tests; the time is `time` as text.
 * Returns its length. */
size_t scree_log_format(const struct scree_log *log, enum scree_log_level level, const char *time,
                        const char *text, const char *const *pairs, char *line, size_t n);

#endif
