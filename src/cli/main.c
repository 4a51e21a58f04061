#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct scree_verb *const verbs[] = {
#define VERB(name) &scree_verb_##name,
#include "cli/verbs.inc"
#undef VERB
};

#define N_VERBS (sizeof verbs / sizeof verbs[0])

static void print_help(FILE *out)
{
    fprintf(out, "usage: scree VERB ...\n\n"
                 "Runs quantized TensorFlow Lite models, bit for bit like TFLite's reference "
                 "kernels.\n\nverbs:\n");
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(out, "\n'scree VERB --help' tells more; 'scree --version' prints the version.\n");
}

/* The man page scree(1), from the same tables as the help. */
static void print_man(void)
{
    printf(".TH SCREE 1 \"\" \"scree %s\" \"User Commands\"\n"
           ".SH NAME\nscree \\- run quantized TensorFlow Lite models\n"
           ".SH SYNOPSIS\n.B scree\nVERB ...\n"
           ".SH DESCRIPTION\nRuns quantized TensorFlow Lite models, bit for bit like TFLite's "
           "reference kernels.\n.SH VERBS\n",
           scree_version());
    for (size_t i = 0; i < N_VERBS; i++)
        scree_args_man(verbs[i], stdout);
    printf(".SH EXIT STATUS\n.TP\n0\nsuccess\n.TP\n1\nfailed\n.TP\n2\nwrong usage\n"
           ".TP\n3\nno such device\n.TP\n4\na model, picture or tensor file that cannot be used\n"
           ".SH SEE ALSO\n.BR libscree (3)\n");
}

/* A standard descriptor that is closed would become that of the next file opened, and what is
 * printed would land there. */
static void open_standard_files(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* `code`, unless what was printed has not arrived, on a full disk for one. */
static int end_output(int code)
{
    bool lost = ferror(stdout) != 0;

    errno = 0;
    if (fflush(stdout) == 0 && !lost)
        return code;
    fprintf(stderr, "scree: standard output: %s\n",
            errno ? strerror(errno) : "not all was written");
    return code == SCREE_EXIT_OK ? SCREE_EXIT_FAILED : code;
}

static const struct scree_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(name, verbs[i]->name) == 0)
            return verbs[i];
    return NULL;
}

static int no_verb(const char *name)
{
    fprintf(stderr, "scree: no verb '%s'\nTry 'scree --help'.\n", name);
    return SCREE_EXIT_USAGE;
}

/* scree help [VERB] */
static int help(const char *name)
{
    const struct scree_verb *verb = name ? find_verb(name) : NULL;

    if (verb)
        scree_args_help(verb, stdout);
    else if (name)
        return no_verb(name);
    else
        print_help(stdout);
    return SCREE_EXIT_OK;
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct scree_verb *verb = find_verb(name);

    if (argc <= 1) {
        print_help(stderr);
        return SCREE_EXIT_USAGE;
    }
    if (verb)
        return verb->run(argc - 1, argv + 1);
    if (strcmp(name, "--man") == 0) {
        print_man();
        return SCREE_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        printf("scree %s\n", scree_version());
        return SCREE_EXIT_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(NULL);
    if (strcmp(name, "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    return no_verb(name);
}

int main(int argc, char **argv)
{
    open_standard_files();
    return end_output(run(argc, argv));
}
