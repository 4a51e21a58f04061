#include "plugin/options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <scree/scree_version.h>

#define PROGRAM "scree-device-plugin"
#define PREFIX  "SCREE_PLUGIN_"

enum kind { KIND_HEADING, KIND_FLAG, KIND_NUMBER, KIND_TEXT };

static const struct option {
    enum kind kind;
    const char *flag, *variable, *value, *help;
    size_t offset;
    const char *first_text;
    uint32_t first, least, most;
} options[] = {
#define AT(field)     offsetof(struct scree_plugin_options, field)
#define HEADING(text) {.kind = KIND_HEADING, .help = text},
#define FLAG(flag, variable, field, help) \
    {KIND_FLAG, flag, PREFIX #variable, NULL, help, AT(field), NULL, 0, 0, 1},
#define NUMBER(flag, variable, field, value, first, least, most, help) \
    {KIND_NUMBER, flag, PREFIX #variable, value, help, AT(field), NULL, first, least, most},
#define TEXT(flag, variable, field, value, first, help) \
    {KIND_TEXT, flag, PREFIX #variable, value, help, AT(field), first, 0, 0, 0},
#include "plugin/options.inc"
#undef HEADING
#undef FLAG
#undef NUMBER
#undef TEXT
};

#define N_OPTIONS (sizeof options / sizeof options[0])

/* ---- values ---------------------------------------------------------------------------------- */

static int parse_number(const struct option *option, const char *text, const char *name,
                        uint32_t *to, struct scree_error *err)
{
    char *after;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &after, 10);
    if (!isdigit((unsigned char)text[0]) || *after || errno || value < option->least ||
        value > option->most)
        return scree_fail(err, EINVAL, "%s: a whole number from %u to %u, not \"%s\"", name,
                          option->least, option->most, text);
    *to = (uint32_t)value;
    return 0;
}

static int parse_flag(const char *text, const char *name, bool *to, struct scree_error *err)
{
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) {
            *to = i % 2;
            return 0;
        }
    return scree_fail(err, EINVAL, "%s: true or false, not \"%s\"", name, text);
}

/* `name`: the flag or the variable that has this value. */
static int set(struct scree_plugin_options *to, const struct option *option, const char *text,
               const char *name, struct scree_error *err)
{
    void *field = (char *)to + option->offset;

    switch (option->kind) {
    case KIND_FLAG:
        return parse_flag(text, name, field, err);
    case KIND_NUMBER:
        return parse_number(option, text, name, field, err);
    default:
        *(const char **)field = text;
        return 0;
    }
}

static void set_first(struct scree_plugin_options *to)
{
    *to = (struct scree_plugin_options){0};
    for (size_t i = 0; i < N_OPTIONS; i++) {
        void *field = (char *)to + options[i].offset;

        if (options[i].kind == KIND_NUMBER)
            *(uint32_t *)field = options[i].first;
        else if (options[i].kind == KIND_TEXT)
            *(const char **)field = options[i].first_text;
    }
}

/* ---- what makes sense ------------------------------------------------------------------------ */

static bool is_label(const char *text, size_t n, const char *also)
{
    if (n == 0 || n > 63 || !isalnum((unsigned char)text[0]) ||
        !isalnum((unsigned char)text[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(also, text[i]))
            return false;
    return true;
}

/* Labels of small letters between dots. */
static bool is_domain(const char *text, size_t n)
{
    if (n == 0 || n > 253)
        return false;
    for (size_t i = 0; i < n; i++)
        if (isupper((unsigned char)text[i]))
            return false;
    for (size_t at = 0;;) {
        const char *dot = memchr(text + at, '.', n - at);
        size_t length = dot ? (size_t)(dot - text) - at : n - at;

        if (!is_label(text + at, length, "-"))
            return false;
        if (!dot)
            return true;
        at += length + 1;
    }
}

bool scree_plugin_is_resource(const char *name)
{
    static const char own[] = "kubernetes.io";
    const char *slash = strchr(name, '/');
    size_t n = slash ? (size_t)(slash - name) : 0;

    if (!slash || !is_domain(name, n) || !is_label(slash + 1, strlen(slash + 1), "-_."))
        return false;
    if (n >= sizeof own - 1 && memcmp(slash - (sizeof own - 1), own, sizeof own - 1) == 0)
        return false;
    return strncmp(name, "requests.", 9) != 0;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static bool is_group(const char *text)
{
    size_t n = strspn(text, "0123456789");

    return n == strlen(text) && n <= 9;
}

static int check(const struct scree_plugin_options *o, struct scree_error *err)
{
    /* A CDI vendor and class begin with a letter, and sockets have short names. */
    if (!scree_plugin_is_resource(o->resource) || strlen(o->resource) > 64 ||
        !isalpha((unsigned char)o->resource[0]) ||
        !isalpha((unsigned char)strchr(o->resource, '/')[1]))
        return scree_fail(err, EINVAL,
                          "--resource: DOMAIN/NAME of at most 64 characters, both begin with a "
                          "letter, DOMAIN is not kubernetes.io: not \"%s\"",
                          o->resource);
    if (!is_one_of(o->route, (const char *const[]){"auto", "kubelet", "watcher", NULL}))
        return scree_fail(err, EINVAL, "--route: auto, kubelet or watcher, not \"%s\"", o->route);
    if (!is_one_of(o->log_format, (const char *const[]){"text", "json", NULL}))
        return scree_fail(err, EINVAL, "--log-format: text or json, not \"%s\"", o->log_format);
    if (!is_one_of(o->log_level, (const char *const[]){"debug", "info", "warning", "error", NULL}))
        return scree_fail(err, EINVAL, "--log-level: debug, info, warning or error, not \"%s\"",
                          o->log_level);
    if (!is_group(o->require_group))
        return scree_fail(err, EINVAL, "--require-group: a group's number, not \"%s\"",
                          o->require_group);
    if (!is_domain(o->driver_name, strlen(o->driver_name)) || strlen(o->driver_name) > 63)
        return scree_fail(err, EINVAL,
                          "--driver-name: a DNS name of at most 63 letters, not \"%s\"",
                          o->driver_name);
    if (o->dra && !is_domain(o->node_name, strlen(o->node_name)))
        return scree_fail(err, EINVAL, "--dra needs --node-name, the name of this node");
    if (o->dra && o->shares > 16)
        return scree_fail(err, EINVAL, "--shares: at most 16 with --dra, for one ResourceSlice");
    if (o->dra && !o->cdi_dir[0])
        return scree_fail(err, EINVAL, "--dra needs CDI, and --cdi-dir is empty");
    return 0;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static const struct option *find_option(const char *name, size_t n)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].flag && strlen(options[i].flag) == n &&
            memcmp(options[i].flag, name, n) == 0)
            return &options[i];
    return NULL;
}

static bool parse_wish(const char *argument, enum scree_plugin_wish *ret_wish)
{
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
        *ret_wish = SCREE_PLUGIN_HELP;
    else if (strcmp(argument, "--man") == 0)
        *ret_wish = SCREE_PLUGIN_MAN;
    else if (strcmp(argument, "--version") == 0)
        *ret_wish = SCREE_PLUGIN_VERSION;
    else
        return false;
    return true;
}

/* "--flag", "--flag VALUE" or "--flag=VALUE" at argv[*at]; moves *at behind it. */
static int parse_argument(int argc, char **argv, int *at, struct scree_plugin_options *to,
                          struct scree_error *err)
{
    const char *argument = argv[(*at)++], *name, *value;
    const struct option *option;
    size_t n;

    if (strncmp(argument, "--", 2) != 0)
        return scree_fail(err, EINVAL, "\"%s\" is not an option; see --help", argument);
    name = argument + 2;
    n = strcspn(name, "=");
    option = find_option(name, n);
    if (!option)
        return scree_fail(err, EINVAL, "there is no option %s; see --help", argument);
    value = name[n] ? name + n + 1 : NULL;
    if (!value && option->kind == KIND_FLAG)
        value = "true";
    if (!value && *at < argc)
        value = argv[(*at)++];
    if (!value)
        return scree_fail(err, EINVAL, "%s needs a value", argument);
    return set(to, option, value, argument, err);
}

int scree_plugin_options_parse(int argc, char **argv, struct scree_plugin_options *ret_options,
                               enum scree_plugin_wish *ret_wish, struct scree_error *err)
{
    int rc = 0;

    *ret_wish = SCREE_PLUGIN_SERVE;
    set_first(ret_options);
    for (int i = 1; i < argc; i++)
        if (parse_wish(argv[i], ret_wish))
            return 0;
    for (size_t i = 0; rc == 0 && i < N_OPTIONS; i++) {
        const char *text = options[i].flag ? getenv(options[i].variable) : NULL;

        if (text)
            rc = set(ret_options, &options[i], text, options[i].variable, err);
    }
    for (int at = 1; rc == 0 && at < argc;)
        rc = parse_argument(argc, argv, &at, ret_options, err);
    return rc < 0 ? rc : check(ret_options, err);
}

/* ---- help ------------------------------------------------------------------------------------ */

#define HELP_COLUMN 24
#define HELP_WIDTH  96

/* Wraps the help between the columns. */
static void print_wrapped(FILE *file, const char *text, size_t column)
{
    for (size_t i = 0; text[i];) {
        size_t n = strcspn(text + i, " ");

        if (column + n + 1 > HELP_WIDTH) {
            (void)fprintf(file, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        (void)fprintf(file, "%.*s%s", (int)n, text + i, text[i + n] ? " " : "");
        column += n + 1;
        i += n + (text[i + n] == ' ');
    }
    (void)fputc('\n', file);
}

static void print_option(FILE *file, const struct option *option)
{
    int n = fprintf(file, "  --%s%s%s", option->flag, option->value ? " " : "",
                    option->value ? option->value : "");

    if (n + 1 >= HELP_COLUMN)
        n = fprintf(file, "\n") - 1;
    (void)fprintf(file, "%*s", HELP_COLUMN - n, "");
    print_wrapped(file, option->help, HELP_COLUMN);
    if (option->kind == KIND_NUMBER)
        (void)fprintf(file, "%*s(%u)\n", HELP_COLUMN, "", option->first);
    else if (option->kind == KIND_TEXT && option->first_text[0])
        (void)fprintf(file, "%*s(%s)\n", HELP_COLUMN, "", option->first_text);
}

void scree_plugin_print_help(FILE *file)
{
    (void)fputs("usage: " PROGRAM " [OPTION...]\n\n"
                "Offers the NPU of an RK3588 to the pods of this Kubernetes node.\n",
                file);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].kind == KIND_HEADING)
            (void)fprintf(file, "\n%s:\n", options[i].help);
        else
            print_option(file, &options[i]);
    (void)fputs(
        "\nEach option is also an environment variable: --check-ms is " PREFIX "CHECK_MS.\n", file);
}

/* Text for roff: '-' and '\' by their names, no line begins with a control character. */
static void print_roff(FILE *file, const char *text)
{
    for (; *text; text++)
        if (*text == '-')
            (void)fputs("\\-", file);
        else if (*text == '\\')
            (void)fputs("\\e", file);
        else
            (void)fputc(*text, file);
}

static void print_man_option(FILE *file, const struct option *option)
{
    (void)fputs(".TP\n\\fB", file);
    print_roff(file, "--");
    print_roff(file, option->flag);
    (void)fputs("\\fR", file);
    if (option->value)
        (void)fprintf(file, " \\fI%s\\fR", option->value);
    (void)fprintf(file, ", \\fB%s\\fR\n", option->variable);
    print_roff(file, option->help);
    if (option->kind == KIND_NUMBER)
        (void)fprintf(file, " (%u)", option->first);
    if (option->kind == KIND_TEXT && option->first_text[0]) {
        (void)fputs(" (", file);
        print_roff(file, option->first_text);
        (void)fputc(')', file);
    }
    (void)fputc('\n', file);
}

void scree_plugin_print_man(FILE *file)
{
    (void)fputs(
        ".TH SCREE\\-DEVICE\\-PLUGIN 8 \"\" \"scree " SCREE_VERSION "\"\n"
        ".SH NAME\nscree\\-device\\-plugin \\- offers the NPU of an RK3588 to Kubernetes pods\n"
        ".SH SYNOPSIS\n\\fBscree\\-device\\-plugin\\fR [\\fIOPTION\\fR...]\n"
        ".SH DESCRIPTION\n"
        "Registers the NPU with the kubelet of this node as a resource that several pods can\n"
        "share, without privileges for them, watches its health and tells the kubelet when it\n"
        "goes and when it is back. With \\-\\-dra it is a driver for Dynamic Resource Allocation.\n"
        "Each option is also an environment variable, named beside it; an argument goes first.\n",
        file);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].kind == KIND_HEADING)
            (void)fprintf(file, ".SH \"%s\"\n", options[i].help);
        else
            print_man_option(file, &options[i]);
    (void)fputs(
        ".SH SIGNALS\nSIGTERM and SIGINT end it; the CDI specification stays, for pods that "
        "are started anew.\n"
        ".SH EXIT STATUS\n0 ended by a signal, 1 failed, 2 wrong usage\n"
        ".SH SEE ALSO\n\\fBscree\\fR(1)\n",
        file);
}
