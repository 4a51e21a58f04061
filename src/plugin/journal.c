#include "plugin/journal.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "plugin/json.h"

#define LINE_BYTES 2048

static const char *const names[] = {"debug", "info", "warning", "error"};

static enum scree_journal_level least = SCREE_JOURNAL_INFO;
static bool json;

void scree_journal_init(const char *level, bool is_json)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(level, names[i]) == 0)
            least = (enum scree_journal_level)i;
    json = is_json;
}

static void add_text(struct scree_buffer *line, const char *text)
{
    scree_buffer_add(line, text, strlen(text));
}

/* key=value, with quotes around a value that has spaces. */
static void add_plain(struct scree_buffer *line, const struct scree_journal_field *field)
{
    char text[512], number[24];
    bool quoted = field->text && (!field->text[0] || strpbrk(field->text, " =\""));

    (void)snprintf(text, sizeof text, "%s", field->text ? field->text : "");
    scree_text_make_safe(text, strlen(text));
    for (char *at = text; quoted && *at; at++)
        if (*at == '"')
            *at = '\'';
    (void)snprintf(number, sizeof number, "%lld", (long long)field->number);
    add_text(line, " ");
    add_text(line, field->key);
    add_text(line, quoted ? "=\"" : "=");
    add_text(line, field->text ? text : number);
    add_text(line, quoted ? "\"" : "");
}

static void add_json(struct scree_buffer *line, const struct scree_journal_field *field)
{
    add_text(line, ",");
    scree_json_add_text(line, field->key);
    add_text(line, ":");
    if (field->text)
        scree_json_add_text(line, field->text);
    else
        scree_json_add_number(line, field->number);
}

/* False while nobody reads: a pipe that is ready takes a line as a whole. */
static bool can_write(void)
{
    struct pollfd to = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&to, 1, 0) > 0 && (to.revents & POLLOUT);
}

void scree_journal(enum scree_journal_level level, const char *message,
                   const struct scree_journal_field *fields, size_t n)
{
    struct scree_buffer line = {.limit = LINE_BYTES};
    char time[SCREE_CLOCK_BYTES];

    if (level < least)
        return;
    scree_clock_text(time);
    if (json) {
        add_text(&line, "{");
        scree_json_add_pair(&line, "time", time);
        add_text(&line, ",");
        scree_json_add_pair(&line, "level", names[level]);
        add_text(&line, ",");
        scree_json_add_pair(&line, "message", message);
    } else {
        add_text(&line, time);
        add_text(&line, " ");
        add_text(&line, names[level]);
        add_text(&line, " ");
        add_text(&line, message);
    }
    for (size_t i = 0; i < n; i++)
        if (json)
            add_json(&line, &fields[i]);
        else
            add_plain(&line, &fields[i]);
    add_text(&line, json ? "}\n" : "\n");
    if (!line.failed && can_write())
        (void)!write(STDERR_FILENO, line.bytes, line.n);
    scree_buffer_done(&line);
}
