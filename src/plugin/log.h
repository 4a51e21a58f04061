/* plugin/log.h - one line on stderr for each thing that happens.
 *
 *     SCREE_LOG(INFO, "registered", {"resource", name}, {"ms", NULL, elapsed});
 *
 * writes, by the format,
 *
 *     2026-08-01T10:00:00.123Z info registered resource=npu.rockchip.com/rk3588 ms=12
 *     {"time":"2026-08-01T10:00:00.123Z","level":"info","message":"registered",...,"ms":12}
 *
 * Texts may come from outside; what is not safe to print is replaced.
 *
 * Memory: none kept. Threads: a line is one write. */
#ifndef SCREE_PLUGIN_LOG_H
#define SCREE_PLUGIN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scree_log_level {
    SCREE_LOG_DEBUG,
    SCREE_LOG_INFO,
    SCREE_LOG_WARNING,
    SCREE_LOG_ERROR,
};

/* A field: its text, or if that is NULL its number. */
struct scree_log_field {
    const char *key, *text;
    int64_t number;
};

/* Sets what is left out and how lines look. `level` as in --log-level. */
void scree_log_init(const char *level, bool is_json);

/* Writes a line with fields[n]. */
void scree_log(enum scree_log_level level, const char *message,
               const struct scree_log_field *fields, size_t n);

#define SCREE_LOG(level, message, ...)                                                   \
    scree_log(SCREE_LOG_##level, message, (const struct scree_log_field[]){__VA_ARGS__}, \
              sizeof((const struct scree_log_field[]){__VA_ARGS__}) /                    \
                  sizeof(struct scree_log_field))

/* The wall clock as "2026-08-01T10:00:00.123Z" in text[SCREE_TIME_TEXT]; for people only. */
#define SCREE_TIME_TEXT 32
void scree_log_time(char *text);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t scree_now_ns(void);

#endif
