#include "device/emu/stats.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map(int fd, int flags, struct scree_emu_stats **ret_stats, struct scree_error *err)
{
    void *mapped = mmap(NULL, sizeof **ret_stats, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (mapped == MAP_FAILED)
        return scree_fail_memory(err, sizeof **ret_stats);
    *ret_stats = mapped;
    return 0;
}

static int map_file(int fd, const char *path, struct scree_emu_stats **ret_stats,
                    struct scree_error *err)
{
    struct scree_emu_stats *stats = NULL;
    uint64_t none = 0;
    int rc;

    /* Growing to the same size twice is harmless, should two processes be first. */
    if (ftruncate(fd, sizeof *stats) < 0)
        return scree_fail(err, EIO, "%s: %s", path, strerror(errno));
    rc = map(fd, MAP_SHARED, &stats, err);
    if (rc < 0)
        return rc;
    if (!__atomic_compare_exchange_n(&stats->magic, &none, SCREE_EMU_STATS_MAGIC, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
        none != SCREE_EMU_STATS_MAGIC) {
        munmap(stats, sizeof *stats);
        return scree_fail(err, EBADMSG, "%s: not counters of this version", path);
    }
    *ret_stats = stats;
    return 0;
}

int scree_emu_stats_open(const char *path, struct scree_emu_stats **ret_stats,
                         struct scree_error *err)
{
    struct stat st;
    int fd, rc;

    if (!path)
        return map(-1, MAP_SHARED | MAP_ANONYMOUS, ret_stats, err);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || fstat(fd, &st) < 0)
        rc = scree_fail(err, EIO, "%s: %s", path, strerror(errno));
    else if (st.st_size != 0 && st.st_size != sizeof **ret_stats)
        rc = scree_fail(err, EBADMSG, "%s: not counters of this version", path);
    else
        rc = map_file(fd, path, ret_stats, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

void scree_emu_stats_close(struct scree_emu_stats *stats)
{
    if (stats)
        munmap(stats, sizeof *stats);
}
