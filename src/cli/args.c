#include "cli/args.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define STOP(code) ((code) + 1)

struct parser {
    const struct scree_verb *verb;
    int argc, at;
    char **argv;
    char *args;
};

static int usage_error(const struct scree_verb *verb, const char *what, const char *which)
{
    fprintf(stderr, "scree %s: %s %s\nTry 'scree %s --help'.\n", verb->name, what, which,
            verb->name);
    return STOP(SCREE_EXIT_USAGE);
}

/* The row for "--name", "--name=value" or "-x", and where its value begins if it is in the same
 * word. */
static const struct scree_option *find_option(const struct scree_verb *verb, const char *word,
                                              const char **ret_value)
{
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);

    *ret_value = equals && word[1] == '-' ? equals + 1 : NULL;
    if (word[1] == '-')
        return scree_option_find(verb->options, word + 2, n - 2);
    for (const struct scree_option *option = verb->options; option->name; option++)
        if (option->letter && word[1] == option->letter && word[2] == '\0')
            return option;
    return NULL;
}

static int set_value(const struct parser *parser, const struct scree_option *option,
                     const char *text)
{
    struct scree_error err;

    if (scree_option_set(option, parser->args, text, &err) >= 0)
        return 0;
    fprintf(stderr, "scree %s: --%s %s: %s\n", parser->verb->name, option->name, text, err.text);
    return STOP(SCREE_EXIT_USAGE);
}

static void add_to_list(struct scree_list *list, int limit, const char *word)
{
    if (!list->v)
        list->v = calloc((size_t)limit + 1, sizeof list->v[0]);
    if (!list->v)
        abort();
    list->v[list->n++] = word;
}

void scree_list_done(struct scree_list *list)
{
    free(list->v);
    *list = (struct scree_list){0};
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

static void take_list(struct parser *parser, const struct scree_option *option, const char *first)
{
    struct scree_list *list = (void *)(parser->args + option->offset);

    add_to_list(list, parser->argc, first);
    while (parser->at < parser->argc && !is_option(parser->argv[parser->at]))
        add_to_list(list, parser->argc, parser->argv[parser->at++]);
}

static int take_option(struct parser *parser, const char *word)
{
    const char *value;
    const struct scree_option *option = find_option(parser->verb, word, &value);

    if (!option)
        return usage_error(parser->verb, "unknown option", word);
    if (option->kind == SCREE_OPTION_FLAG) {
        if (value)
            return usage_error(parser->verb, "no value is taken by", word);
        *(bool *)(parser->args + option->offset) = true;
        return 0;
    }
    if (!value && parser->at >= parser->argc)
        return usage_error(parser->verb, "a value is missing after", word);
    if (!value)
        value = parser->argv[parser->at++];
    if (option->kind != SCREE_OPTION_LIST)
        return set_value(parser, option, value);
    take_list(parser, option, value);
    return 0;
}

static bool wants_help(const struct parser *parser)
{
    for (const struct scree_option *option = parser->verb->options; option->name; option++)
        if (strcmp(option->name, "help") == 0)
            return *(bool *)(parser->args + option->offset);
    return false;
}

int scree_args_parse(const struct scree_verb *verb, int argc, char **argv, void *args,
                     struct scree_list *ret_positionals)
{
    struct parser parser = {.verb = verb, .argc = argc, .at = 1, .argv = argv, .args = args};
    bool options_end = false;

    while (parser.at < argc) {
        const char *word = argv[parser.at++];
        int rc = 0;

        if (!options_end && strcmp(word, "--") == 0)
            options_end = true;
        else if (!options_end && is_option(word))
            rc = take_option(&parser, word);
        else
            add_to_list(ret_positionals, argc, word);
        if (rc)
            return rc;
    }
    if (wants_help(&parser)) {
        scree_args_help(verb, stdout);
        return STOP(SCREE_EXIT_OK);
    }
    if (ret_positionals->n < verb->min_positionals)
        return usage_error(verb, "missing:", verb->positionals);
    if (ret_positionals->n > verb->max_positionals)
        return usage_error(verb, "unexpected:", ret_positionals->v[verb->max_positionals]);
    return 0;
}

/* ---- help and man ------------------------------------------------------------------------------
 */

static void option_head(const struct scree_option *option, char *text, size_t n)
{
    char letter[8] = "";

    if (option->letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    (void)snprintf(text, n, "%s--%s%s%s%s", letter, option->name, option->value ? " " : "",
                   option->value ? option->value : "",
                   option->kind == SCREE_OPTION_LIST ? "..." : "");
}

/* " (default 50)", or "". */
static const char *option_default(const struct scree_verb *verb, const struct scree_option *option,
                                  char *text, size_t n)
{
    char value[64];

    text[0] = '\0';
    if (verb->defaults && option->kind != SCREE_OPTION_FLAG &&
        scree_option_format(option, verb->defaults, value, sizeof value)[0])
        (void)snprintf(text, n, " (default %s)", value);
    return text;
}

void scree_args_help(const struct scree_verb *verb, FILE *out)
{
    fprintf(out, "usage: scree %s%s%s [options]\n\n%s.\n", verb->name,
            verb->positionals[0] ? " " : "", verb->positionals, verb->summary);
    if (verb->details[0])
        fprintf(out, "\n%s\n", verb->details);
    fprintf(out, "\noptions:\n");
    for (const struct scree_option *option = verb->options; option->name; option++) {
        char head[64], initial[96];

        if (option->kind == SCREE_OPTION_HEADING) {
            fprintf(out, "\n%s:\n", option->help);
            continue;
        }
        option_head(option, head, sizeof head);
        fprintf(out, "  %-24s  %s%s\n", head, option->help,
                option_default(verb, option, initial, sizeof initial));
    }
    if (verb->examples[0])
        fprintf(out, "\nexamples:\n%s\n", verb->examples);
}

/* roff takes a hyphen for a dash and a leading dot for a command. */
static void put_roff(const char *text, FILE *out)
{
    bool line_start = true;

    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        line_start = *text == '\n';
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
    }
}

void scree_args_man(const struct scree_verb *verb, FILE *out)
{
    fprintf(out, ".SS scree ");
    put_roff(verb->name, out);
    if (verb->positionals[0])
        fputc(' ', out);
    put_roff(verb->positionals, out);
    fprintf(out, " [options]\n");
    put_roff(verb->summary, out);
    fprintf(out, ".\n");
    if (verb->details[0]) {
        fprintf(out, ".PP\n");
        put_roff(verb->details, out);
        fputc('\n', out);
    }
    for (const struct scree_option *option = verb->options; option->name; option++) {
        char head[64], initial[96];

        if (option->kind == SCREE_OPTION_HEADING) {
            fprintf(out, ".PP\nOptions for %s:\n", option->help);
            continue;
        }
        option_head(option, head, sizeof head);
        fprintf(out, ".TP\n.B ");
        put_roff(head, out);
        fputc('\n', out);
        put_roff(option->help, out);
        put_roff(option_default(verb, option, initial, sizeof initial), out);
        fputc('\n', out);
    }
    if (verb->examples[0]) {
        fprintf(out, ".PP\n.nf\n");
        put_roff(verb->examples, out);
        fprintf(out, "\n.fi\n");
    }
}
