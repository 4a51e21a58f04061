/* /proc/interrupts as a board has it: the file of this machine, and one line for each core. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device/emu/shim.h"

/* SPI 110 to 112 are GIC interrupts 142 to 144; the first column is Linux's own numbering. */
static const struct {
    int number, line;
    const char *device;
} cores[] = {{93, 142, "fdab0000.npu"}, {94, 143, "fdac0000.npu"}, {95, 144, "fdad0000.npu"}};

/* Copies the real file and returns how many processors its head names. */
static int copy_real(FILE *out)
{
    FILE *in = fopen("/proc/interrupts", "re");
    int n_processors = 0;
    bool head = true;
    char line[4096];

    while (in && fgets(line, sizeof line, in)) {
        for (const char *at = line; head && (at = strstr(at, "CPU")); at += 3)
            n_processors++;
        head = head && !strchr(line, '\n');
        (void)fputs(line, out);
    }
    if (in)
        (void)fclose(in);
    if (n_processors == 0)
        (void)fprintf(out, "%16s\n", "CPU0");
    return n_processors ? n_processors : 1;
}

static void write_lines(FILE *out, const struct scree_emu_options *options,
                        const struct scree_emu_stats *stats)
{
    int n_processors = copy_real(out);

    for (int i = 0; i < options->n_cores; i++) {
        (void)fprintf(out, "%4d: %10" PRIu64, cores[i].number,
                      scree_emu_counted(&stats->cores[i].interrupts));
        for (int k = 1; k < n_processors; k++)
            (void)fprintf(out, " %10d", 0);
        (void)fprintf(out, "     GICv3 %d Level     %s\n", cores[i].line, cores[i].device);
    }
}

int scree_emu_shim_open_interrupts(int flags)
{
    int fd = memfd_create("interrupts", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *out = copy < 0 ? NULL : fdopen(copy, "w");

    if (!out) {
        if (copy >= 0)
            close(copy);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    write_lines(out, scree_emu_shim_options(), scree_emu_shim_stats());
    (void)fclose(out);
    (void)lseek(fd, 0, SEEK_SET);
    return fd;
}
