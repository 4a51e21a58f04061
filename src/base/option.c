#include "base/option.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct scree_option *scree_option_find(const struct scree_option *options, const char *name,
                                             size_t n)
{
    for (; options->name; options++)
        if (options->kind != SCREE_OPTION_HEADING && strlen(options->name) == n &&
            memcmp(options->name, name, n) == 0)
            return options;
    return NULL;
}

static int set_flag(bool *flag, const char *text, struct scree_error *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) {
            *flag = i % 2 == 1;
            return 0;
        }
    return scree_fail(err, EINVAL, "true or false is wanted");
}

static int set_number(const struct scree_option *option, void *place, const char *text,
                      struct scree_error *err)
{
    bool automatic = option->kind == SCREE_OPTION_AUTO && strcmp(text, "auto") == 0;
    char *end;
    double value = strtod(text, &end);

    if (!automatic && (end == text || *end || !(value >= option->min && value <= option->max) ||
                       (option->kind != SCREE_OPTION_FLOAT && value != (double)(int)value)))
        return scree_fail(err, EINVAL, "a number from %.10g to %.10g is wanted", option->min,
                          option->max);
    if (option->kind == SCREE_OPTION_FLOAT)
        *(double *)place = value;
    else
        *(int *)place = automatic ? 0 : (int)value;
    return 0;
}

/* "64M", "64m", "64MiB" or plain bytes. */
static bool read_size(const char *text, double *ret)
{
    static const char units[] = "KMG";
    const char *unit;
    char *end;

    *ret = strtod(text, &end);
    if (end == text)
        return false;
    unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (unit) {
        for (long i = unit - units; i >= 0; i--)
            *ret *= 1024;
        end++;
        if (strcmp(end, "iB") == 0)
            end += 2;
    }
    return *end == '\0';
}

static const char *format_size(double bytes, char *text, size_t n)
{
    static const char *const units[] = {"", "K", "M", "G"};
    size_t i = 0;

    while (i < 3 && bytes >= 1024 && bytes / 1024 == (double)(uint64_t)(bytes / 1024)) {
        bytes /= 1024;
        i++;
    }
    (void)snprintf(text, n, "%.0f%s", bytes, units[i]);
    return text;
}

static int set_size(const struct scree_option *option, size_t *place, const char *text,
                    struct scree_error *err)
{
    char low[32], high[32];
    double value;

    if (!read_size(text, &value) || !(value >= option->min && value <= option->max))
        return scree_fail(err, EINVAL, "bytes are wanted, like 512K or 10M, from %s to %s",
                          format_size(option->min, low, sizeof low),
                          format_size(option->max, high, sizeof high));
    *place = (size_t)value;
    return 0;
}

/* Word `index` of "one|two|three": its length, 0 past the last one. */
static size_t find_word(const char *words, int index, const char **ret_word)
{
    for (; index > 0 && *words; index--) {
        words += strcspn(words, "|");
        words += *words == '|';
    }
    *ret_word = words;
    return strcspn(words, "|");
}

static int set_choice(const struct scree_option *option, int *place, const char *text,
                      struct scree_error *err)
{
    const char *word;
    size_t n;

    for (int i = 0; (n = find_word(option->value, i, &word)) > 0; i++)
        if (strlen(text) == n && memcmp(word, text, n) == 0) {
            *place = i;
            return 0;
        }
    return scree_fail(err, EINVAL, "one of %s is wanted", option->value);
}

static int add_text(struct scree_texts *texts, const char *text, struct scree_error *err)
{
    if (texts->n == SCREE_MAX_TEXTS)
        return scree_fail(err, E2BIG, "at most %d of these can be given", SCREE_MAX_TEXTS);
    texts->v[texts->n++] = text;
    return 0;
}

int scree_option_set(const struct scree_option *option, void *values, const char *text,
                     struct scree_error *err)
{
    void *place = (char *)values + option->offset;

    switch (option->kind) {
    case SCREE_OPTION_FLAG:
        return set_flag(place, text, err);
    case SCREE_OPTION_SIZE:
        return set_size(option, place, text, err);
    case SCREE_OPTION_CHOICE:
        return set_choice(option, place, text, err);
    case SCREE_OPTION_TEXTS:
        return add_text(place, text, err);
    case SCREE_OPTION_TEXT:
        *(const char **)place = text;
        return 0;
    default:
        assert(option->kind != SCREE_OPTION_LIST && option->kind != SCREE_OPTION_HEADING);
        return set_number(option, place, text, err);
    }
}

const char *scree_option_format(const struct scree_option *option, const void *values, char *text,
                                size_t n)
{
    const void *place = (const char *)values + option->offset;
    const char *word = "";
    size_t length;

    text[0] = '\0';
    switch (option->kind) {
    case SCREE_OPTION_FLAG:
        (void)snprintf(text, n, "%s", *(const bool *)place ? "true" : "false");
        break;
    case SCREE_OPTION_SIZE:
        return format_size((double)*(const size_t *)place, text, n);
    case SCREE_OPTION_CHOICE:
        length = find_word(option->value, *(const int *)place, &word);
        (void)snprintf(text, n, "%.*s", (int)length, word);
        break;
    case SCREE_OPTION_FLOAT:
        (void)snprintf(text, n, "%g", *(const double *)place);
        break;
    case SCREE_OPTION_TEXT:
        word = *(const char *const *)place;
        (void)snprintf(text, n, "%s", word ? word : "");
        break;
    case SCREE_OPTION_AUTO:
    case SCREE_OPTION_INT:
        if (option->kind == SCREE_OPTION_AUTO && *(const int *)place == 0)
            (void)snprintf(text, n, "auto");
        else
            (void)snprintf(text, n, "%d", *(const int *)place);
        break;
    default:
        break;
    }
    return text;
}
