#include "ops/types.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One alternative of a row's list, and what its variables T and U stand for so far. */
struct matcher {
    const char *text;
    const char *end;
    int bound[26]; /* enum scree_type, -1: not bound yet */
};

/* A piece of the list: one item between commas. */
struct item {
    const char *text;
    size_t n;
    bool optional, repeated;
};

static const struct {
    const char *name;
    enum scree_type type;
} names[] = {
    {"f32", SCREE_TYPE_FLOAT32},   {"f16", SCREE_TYPE_FLOAT16}, {"f64", SCREE_TYPE_FLOAT64},
    {"i4", SCREE_TYPE_INT4},       {"i8", SCREE_TYPE_INT8},     {"i16", SCREE_TYPE_INT16},
    {"i32", SCREE_TYPE_INT32},     {"i64", SCREE_TYPE_INT64},   {"u8", SCREE_TYPE_UINT8},
    {"u16", SCREE_TYPE_UINT16},    {"u32", SCREE_TYPE_UINT32},  {"bool", SCREE_TYPE_BOOL},
    {"bf16", SCREE_TYPE_BFLOAT16},
};

static bool name_is(const char *text, size_t n, enum scree_type type)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i].name) == n && memcmp(names[i].name, text, n) == 0)
            return names[i].type == type;
    assert(n == 0); /* a type in ops.inc that is not in the list above */
    return false;
}

static const char *skip_spaces(const char *text, const char *end)
{
    while (text < end && *text == ' ')
        text++;
    return text;
}

static size_t word_length(const char *text, const char *end)
{
    size_t n = 0;

    while (text + n < end &&
           ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z') ||
            (text[n] >= '0' && text[n] <= '9')))
        n++;
    return n;
}

/* Reads the item at *text and moves *text behind it and its comma. */
static struct item next_item(const char **text, const char *end)
{
    struct item item = {0};
    const char *at = skip_spaces(*text, end);

    if (at < end && *at == '(') {
        item.optional = true;
        at++;
    }
    item.text = at;
    item.n = word_length(at, end);
    at += item.n;
    if (at < end && *at == ')')
        at++;
    if (at < end && *at == '*') {
        item.repeated = true;
        at++;
    }
    at = skip_spaces(at, end);
    if (at < end && *at == ',')
        at++;
    *text = skip_spaces(at, end);
    return item;
}

/* True if `type` is in the list of variable `letter`: "T = u8 i8" behind the colon. */
static bool variable_allows(const struct matcher *matcher, char letter, enum scree_type type)
{
    const char *at = memchr(matcher->text, ':', (size_t)(matcher->end - matcher->text));

    for (at = at ? at + 1 : matcher->end; at < matcher->end;) {
        bool ours;

        at = skip_spaces(at, matcher->end);
        ours = at < matcher->end && *at == letter;
        at = skip_spaces(at + 1, matcher->end);
        if (at < matcher->end && *at == '=')
            at++;
        for (at = skip_spaces(at, matcher->end); at < matcher->end && *at != ',';) {
            size_t n = word_length(at, matcher->end);

            if (ours && name_is(at, n, type))
                return true;
            at = skip_spaces(at + n, matcher->end);
        }
        if (at < matcher->end)
            at++;
    }
    return false;
}

static bool item_allows(struct matcher *matcher, const struct item *item, enum scree_type type)
{
    char letter = item->text[0];

    if (item->n == 3 && memcmp(item->text, "any", 3) == 0)
        return scree_type_bytes(type) > 0;
    if (item->n != 1 || letter < 'A' || letter > 'Z')
        return name_is(item->text, item->n, type);
    if (matcher->bound[letter - 'A'] >= 0)
        return matcher->bound[letter - 'A'] == (int)type;
    if (!variable_allows(matcher, letter, type))
        return false;
    matcher->bound[letter - 'A'] = (int)type;
    return true;
}

/* Matches a list of operands with the items in [text, end). */
static bool match_list(struct matcher *matcher, const char *text, const char *end,
                       struct scree_operand **operands, uint32_t n)
{
    uint32_t i = 0;
    struct item item = {.repeated = false};

    text = skip_spaces(text, end);
    while (text < end || (item.repeated && i < n)) {
        if (!item.repeated)
            item = next_item(&text, end);
        if (i >= n) {
            if (!item.optional && !item.repeated)
                return false;
            if (item.repeated)
                break;
            continue;
        }
        if (!operands[i]) {
            if (!item.optional)
                return false;
        } else if (!item_allows(matcher, &item, operands[i]->type)) {
            return false;
        }
        i++;
    }
    return i == n;
}

static bool match_alternative(struct matcher *matcher, const struct scree_call *call)
{
    size_t n = (size_t)(matcher->end - matcher->text);
    const char *arrow = memchr(matcher->text, '>', n);
    const char *colon = memchr(matcher->text, ':', n);

    assert(arrow);
    memset(matcher->bound, -1, sizeof matcher->bound);
    return match_list(matcher, matcher->text, arrow, call->inputs, call->n_inputs) &&
           match_list(matcher, arrow + 1, colon ? colon : matcher->end, call->outputs,
                      call->n_outputs);
}

static size_t append(char *text, size_t size, size_t used, const char *more)
{
    int n = used < size ? snprintf(text + used, size - used, "%s", more) : 0;

    return used + (n > 0 ? (size_t)n : 0);
}

static void list_types(char *text, size_t size, struct scree_operand **operands, uint32_t n)
{
    size_t used = append(text, size, 0, "(");

    for (uint32_t i = 0; i < n && used < size; i++) {
        used = append(text, size, used, i ? ", " : "");
        used = append(text, size, used, operands[i] ? scree_type_name(operands[i]->type) : "none");
    }
    append(text, size, used, ")");
}

int scree_types_check(const struct scree_call *call, struct scree_error *err)
{
    const char *text = call->op->types;
    char inputs[80], outputs[40];

    while (text) {
        const char *next = strchr(text, ';');
        struct matcher matcher = {.text = text, .end = next ? next : text + strlen(text)};

        if (match_alternative(&matcher, call))
            return 0;
        text = next ? next + 1 : NULL;
    }
    list_types(inputs, sizeof inputs, call->inputs, call->n_inputs);
    list_types(outputs, sizeof outputs, call->outputs, call->n_outputs);
    return scree_fail(err, ENOTSUP, "%s version %d: %s to %s is not supported",
                      scree_node_name(call->node), call->node->version, inputs, outputs);
}
