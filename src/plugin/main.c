/* scree-device-plugin: the NPU as a resource of a Kubernetes node. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <scree/scree_version.h>

#include "plugin/device_plugin.h"
#ifdef SCREE_WITH_DRA
#include "plugin/dra.h"
#endif
#include "plugin/journal.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Descriptors 0 to 2 are there, so that no socket becomes one of them. */
static void open_standard(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int serve(const struct scree_plugin_options *options)
{
    static struct scree_plugin plugin;
    static struct scree_device_plugin device_plugin;
    const struct scree_front *front = &scree_device_plugin_front;
    void *state = &device_plugin;
    struct scree_error err;

    SCREE_JOURNAL(INFO, "starting", {"version", SCREE_VERSION}, {"resource", options->resource});
#ifdef SCREE_WITH_DRA
    static struct scree_dra dra;

    if (options->dra) {
        front = &scree_dra_front;
        state = &dra;
    }
#else
    if (options->dra) {
        SCREE_JOURNAL(ERROR, "this program was built without DRA");
        return EXIT_FAILED;
    }
#endif
    if (scree_plugin_run(&plugin, options, front, state, &err) == 0)
        return EXIT_OK;
    SCREE_JOURNAL(ERROR, "failed", {"reason", err.text});
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct scree_plugin_options options;
    enum scree_plugin_wish wish;
    struct scree_error err;

    open_standard();
    if (scree_plugin_options_parse(argc, argv, &options, &wish, &err) < 0) {
        (void)fprintf(stderr, "scree-device-plugin: %s\n", err.text);
        return EXIT_USAGE;
    }
    scree_journal_init(options.log_level, options.log_format[0] == 'j');
    switch (wish) {
    case SCREE_PLUGIN_HELP:
        scree_plugin_print_help(stdout);
        break;
    case SCREE_PLUGIN_MAN:
        scree_plugin_print_man(stdout);
        break;
    case SCREE_PLUGIN_VERSION:
        (void)puts("scree-device-plugin " SCREE_VERSION);
        break;
    case SCREE_PLUGIN_SERVE:
        return serve(&options);
    }
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
