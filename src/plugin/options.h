/* plugin/options.h - what the device plugin was told: by arguments, else by the environment.
 *
 * options.inc is the one list of what can be set: parser, --help and man page are made from it.
 *
 * Memory: texts point into argv, the environment and the list. Threads: none of its own. */
#ifndef SCREE_PLUGIN_OPTIONS_H
#define SCREE_PLUGIN_OPTIONS_H

#include <stdio.h>

#include "base/error.h"

/* The field of each option. */
struct scree_plugin_options {
#define HEADING(text)
#define FLAG(flag, variable, field, help)                              bool field;
#define NUMBER(flag, variable, field, value, first, least, most, help) uint32_t field;
#define TEXT(flag, variable, field, value, first, help)                const char *field;
#include "plugin/options.inc"
#undef HEADING
#undef FLAG
#undef NUMBER
#undef TEXT
};

/* What an argument asks for in place of serving. */
enum scree_plugin_wish {
    SCREE_PLUGIN_SERVE,
    SCREE_PLUGIN_HELP,
    SCREE_PLUGIN_MAN,
    SCREE_PLUGIN_VERSION,
};

/* Fills *ret_options from the environment and argv[argc], and *ret_wish. Checks what each option
 * can be by itself and with the others. Errors: EINVAL, with the argument or the variable in the
 * text. */
int scree_plugin_options_parse(int argc, char **argv, struct scree_plugin_options *ret_options,
                               enum scree_plugin_wish *ret_wish, struct scree_error *err);

/* True for a resource's or a CDI kind's name, "domain/name": one slash, a DNS name before it that
 * is not kubernetes.io, behind it at most 63 letters, digits, '-', '_' and '.'. Source: the
 * kubelet's IsExtendedResourceName(). */
bool scree_plugin_is_resource(const char *name);

/* Prints the help, or the man page in roff. */
void scree_plugin_print_help(FILE *file);
void scree_plugin_print_man(FILE *file);

#endif
