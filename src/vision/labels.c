#include "vision/labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/text.h"

/* Class k is named texts + offsets[k + shift]; NO_NAME marks a class without a name. */
struct scree_labels {
    char *texts; /* char[text_bytes] */
    size_t text_bytes;
    uint32_t *offsets; /* u32[n] */
    uint32_t n;
    int32_t shift;
    bool numbered;
};

#define NO_NAME UINT32_MAX

/* One line of a label file, without its end and outer blanks. */
struct line {
    const char *text;
    size_t n;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct line trim(struct line line)
{
    while (line.n > 0 && is_blank(line.text[0]))
        line.text++, line.n--;
    while (line.n > 0 && is_blank(line.text[line.n - 1]))
        line.n--;
    return line;
}

/* Takes the first line off *rest. False at the end. */
static bool next_line(struct line *rest, struct line *ret)
{
    const char *end;

    if (rest->n == 0)
        return false;
    end = memchr(rest->text, '\n', rest->n);
    ret->text = rest->text;
    ret->n = end ? (size_t)(end - rest->text) : rest->n;
    rest->text += ret->n + (end != NULL);
    rest->n -= ret->n + (end != NULL);
    *ret = trim(*ret);
    return true;
}

/* Splits "7 label" and "7: label" (also with several blanks) into number and label. A number alone
 * is no such line. */
static bool split_number(struct line line, uint32_t *ret_number, struct line *ret_label)
{
    uint32_t number = 0;
    size_t i = 0;

    for (; i < line.n && line.text[i] >= '0' && line.text[i] <= '9'; i++) {
        if (i >= 9)
            return false;
        number = number * 10 + (uint32_t)(line.text[i] - '0');
    }
    if (i == 0 || i == line.n || !(is_blank(line.text[i]) || line.text[i] == ':'))
        return false;
    if (line.text[i] == ':')
        i++;
    *ret_label = trim((struct line){line.text + i, line.n - i});
    *ret_number = number;
    return true;
}

/* What a first look at the file tells. */
struct survey {
    uint32_t n_lines; /* up to the last that is not empty */
    uint32_t last_number;
    bool numbered;
};

static struct survey survey_lines(struct line rest)
{
    struct survey survey = {.numbered = true};
    struct line line, label;
    uint32_t n = 0, number;
    int64_t last = -1;

    while (next_line(&rest, &line) && n <= SCREE_LABELS_MAX) {
        n++;
        if (line.n == 0)
            continue;
        survey.n_lines = n;
        if (survey.numbered && split_number(line, &number, &label) && number > last)
            last = number;
        else
            survey.numbered = false;
    }
    survey.numbered = survey.numbered && last >= 0;
    survey.last_number = last < 0 ? 0 : (uint32_t)last;
    return survey;
}

static bool is_nameless(struct line line)
{
    return line.n == 0 || (line.n == 3 && memcmp(line.text, "???", 3) == 0) ||
           (line.n == 3 && memcmp(line.text, "n/a", 3) == 0);
}

/* Copies `label` to texts + *used as the name of class k. */
static void add(struct scree_labels *labels, uint32_t k, struct line label, size_t *used)
{
    char *text = labels->texts + *used;

    if (is_nameless(label))
        return;
    memcpy(text, label.text, label.n);
    text[label.n] = '\0';
    scree_text_make_safe(text, label.n);
    labels->offsets[k] = (uint32_t)*used;
    *used += label.n + 1;
}

/* A list of n classes without names, with room for text_bytes. */
static int labels_new(uint32_t n, size_t text_bytes, struct scree_labels **ret,
                      struct scree_error *err)
{
    struct scree_labels *labels = calloc(1, sizeof *labels);

    if (!labels)
        return scree_fail_memory(err, sizeof *labels);
    labels->n = n;
    labels->text_bytes = text_bytes + 1;
    labels->texts = calloc(1, labels->text_bytes);
    labels->offsets = malloc((size_t)n * sizeof *labels->offsets + 1);
    if (!labels->texts || !labels->offsets) {
        scree_labels_free(labels);
        return scree_fail_memory(err, text_bytes + (size_t)n * sizeof *labels->offsets);
    }
    for (uint32_t k = 0; k < n; k++)
        labels->offsets[k] = NO_NAME;
    *ret = labels;
    return 0;
}

/* Every line takes at most its own bytes and a NUL for its newline; the last may lack one. */
static int parse(struct line rest, struct scree_labels **ret, struct scree_error *err)
{
    struct survey survey = survey_lines(rest);
    uint32_t n = survey.numbered ? survey.last_number + 1 : survey.n_lines;
    struct scree_labels *labels;
    struct line line;
    size_t used = 0;
    int rc;

    if (n == 0)
        return scree_fail(err, EBADMSG, "no labels in it");
    if (survey.n_lines > SCREE_LABELS_MAX || n > SCREE_LABELS_MAX)
        return scree_fail(err, E2BIG, "labels for over %u classes", SCREE_LABELS_MAX);
    rc = labels_new(n, rest.n, &labels, err);
    if (rc < 0)
        return rc;
    labels->numbered = survey.numbered;
    for (uint32_t k = 0; next_line(&rest, &line) && (survey.numbered || k < n); k++) {
        uint32_t number = k;

        if (!survey.numbered || split_number(line, &number, &line))
            add(labels, number, line, &used);
    }
    *ret = labels;
    return 0;
}

int scree_labels_open_memory(const void *bytes, size_t n_bytes, struct scree_labels **ret_labels,
                             struct scree_error *err)
{
    struct line rest = {bytes, n_bytes};

    if (n_bytes > SCREE_LABELS_MAX_BYTES)
        return scree_fail(err, E2BIG, "%zu bytes of labels are over %u", n_bytes,
                          SCREE_LABELS_MAX_BYTES);
    if (n_bytes >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        rest = (struct line){rest.text + 3, n_bytes - 3};
    return parse(rest, ret_labels, err);
}

int scree_labels_open(const char *path, struct scree_labels **ret_labels, struct scree_error *err)
{
    uint8_t *bytes;
    size_t n_bytes;
    int rc;

    rc = scree_file_read(path, SCREE_LABELS_MAX_BYTES, &bytes, &n_bytes, err);
    if (rc < 0)
        return rc;
    rc = scree_labels_open_memory(bytes, n_bytes, ret_labels, err);
    free(bytes);
    return rc < 0 ? scree_wrap(err, rc, "%s", path) : 0;
}

int scree_labels_of_model(struct scree_model *model, struct scree_labels **ret_labels,
                          struct scree_error *err)
{
    const void *bytes;
    size_t n_bytes;
    int rc;

    rc = scree_model_file(model, NULL, &bytes, &n_bytes, err);
    if (rc < 0)
        return rc;
    rc = scree_labels_open_memory(bytes, n_bytes, ret_labels, err);
    return rc < 0 ? scree_wrap(err, rc, "labels in the model") : 0;
}

int scree_labels_from_texts(const char *const *texts, uint32_t n, struct scree_labels **ret_labels,
                            struct scree_error *err)
{
    struct scree_labels *labels;
    size_t bytes = 0, used = 0;
    int rc;

    for (uint32_t k = 0; k < n; k++)
        bytes += texts[k] ? strlen(texts[k]) + 1 : 0;
    if (n > SCREE_LABELS_MAX || bytes > SCREE_LABELS_MAX_BYTES)
        return scree_fail(err, E2BIG, "%u labels of %zu bytes are over the limit", n, bytes);
    rc = labels_new(n, bytes, &labels, err);
    if (rc < 0)
        return rc;
    for (uint32_t k = 0; k < n; k++)
        if (texts[k])
            add(labels, k, (struct line){texts[k], strlen(texts[k])}, &used);
    *ret_labels = labels;
    return 0;
}

int scree_labels_copy(const struct scree_labels *labels, struct scree_labels **ret_labels,
                      struct scree_error *err)
{
    struct scree_labels *copy;
    int rc;

    rc = labels_new(labels->n, labels->text_bytes - 1, &copy, err);
    if (rc < 0)
        return rc;
    memcpy(copy->texts, labels->texts, labels->text_bytes);
    memcpy(copy->offsets, labels->offsets, (size_t)labels->n * sizeof *labels->offsets);
    copy->numbered = labels->numbered;
    *ret_labels = copy;
    return 0;
}

int scree_labels_builtin(const char *name, struct scree_labels **ret_labels,
                         struct scree_error *err)
{
    const struct scree_label_table *table = scree_label_table_find(name);
    char quoted[64];

    if (!table)
        return scree_fail(err, ENOENT, "no built-in labels are called %s",
                          scree_text_quote(name, quoted, sizeof quoted));
    return scree_labels_from_texts(table->texts, table->n, ret_labels, err);
}

/* True if the list begins with an entry for the background. */
static bool begins_with_background(const struct scree_labels *labels)
{
    return labels->n > 1 && (labels->offsets[0] == NO_NAME ||
                             strcmp(labels->texts + labels->offsets[0], "background") == 0);
}

void scree_labels_align(struct scree_labels *labels, uint32_t n_classes)
{
    bool one_more = n_classes == 0 || labels->n == (uint64_t)n_classes + 1;

    labels->shift = 0;
    if (labels->numbered)
        return;
    if (n_classes > 0 && labels->n == n_classes - 1)
        labels->shift = -1;
    else if (one_more && begins_with_background(labels))
        labels->shift = 1;
}

uint32_t scree_labels_count(const struct scree_labels *labels)
{
    return labels->n;
}

const char *scree_labels_get(const struct scree_labels *labels, int64_t class_id)
{
    int64_t k;

    if (!labels || class_id < 0 || class_id > UINT32_MAX)
        return NULL;
    k = class_id + labels->shift;
    if (k < 0)
        return "background";
    if (k >= labels->n || labels->offsets[k] == NO_NAME)
        return NULL;
    return labels->texts + labels->offsets[k];
}

void scree_labels_free(struct scree_labels *labels)
{
    if (!labels)
        return;
    free(labels->texts);
    free(labels->offsets);
    free(labels);
}
