#include <string.h>

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

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";

    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(name, verbs[i]->name) == 0)
            return verbs[i]->run(argc - 1, argv + 1);
    if (strcmp(name, "--man") == 0) {
        print_man();
        return SCREE_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        printf("scree %s\n", scree_version());
        return SCREE_EXIT_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(argc > 1 ? stdout : stderr);
        return argc > 1 ? SCREE_EXIT_OK : SCREE_EXIT_USAGE;
    }
    fprintf(stderr, "scree: no verb '%s'\nTry 'scree --help'.\n", name);
    return SCREE_EXIT_USAGE;
}
