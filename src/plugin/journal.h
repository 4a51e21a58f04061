/* plugin/journal.h - one line on stderr for each thing that happens.
 *
 *     SCREE_JOURNAL(INFO, "registered", {"resource", name}, {"ms", NULL, elapsed});
 *
 * writes, by the format,
 *
 *     2026-08-01T10:00:00.123Z info registered resource=npu.rockchip.com/rk3588 ms=12
 *     {"time":"2026-08-01T10:00:00.123Z","level":"info","message":"registered",...,"ms":12}
 *
 * Texts may come from outside; what is not safe to print is replaced. A log that nobody reads holds
 * nothing up: lines are dropped until there is room for them.
 *
 * Memory: none kept. Threads: a line is one write. */
#ifndef SCREE_PLUGIN_JOURNAL_H
#define SCREE_PLUGIN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scree_journal_level {
    SCREE_JOURNAL_DEBUG,
    SCREE_JOURNAL_INFO,
    SCREE_JOURNAL_WARNING,
    SCREE_JOURNAL_ERROR,
};

/* A field: its text, or if that is NULL its number. */
struct scree_journal_field {
    const char *key, *text;
    int64_t number;
};

/* Sets what is left out and how lines look. `level` as in --log-level. */
void scree_journal_init(const char *level, bool is_json);

/* Writes a line with fields[n]. */
void scree_journal(enum scree_journal_level level, const char *message,
                   const struct scree_journal_field *fields, size_t n);

#define SCREE_JOURNAL(level, message, ...)                                    \
    scree_journal(SCREE_JOURNAL_##level, message,                             \
                  (const struct scree_journal_field[]){__VA_ARGS__},          \
                  sizeof((const struct scree_journal_field[]){__VA_ARGS__}) / \
                      sizeof(struct scree_journal_field))

#endif
