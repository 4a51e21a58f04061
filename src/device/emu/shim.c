/* Descriptors: open, dup, close, ioctl of the device node. */
#include "device/emu/shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The major number of the kernel's accel devices (Documentation/admin-guide/devices.txt). */
#define ACCEL_MAJOR 261

static struct {
    pthread_mutex_t lock; /* of the table */
    struct scree_emu_options options;
    struct scree_emu_stats *stats;
    struct scree_emu_npu *npu;
    struct scree_emu_file **files; /* [n_files], by descriptor */
    size_t n_files;
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread bool inside;

void *scree_emu_shim_next(const char *name)
{
    void *next = dlsym(RTLD_NEXT, name);

    if (!next) {
        (void)fprintf(stderr, "scree-emu: the C library has no %s()\n", name);
        abort();
    }
    return next;
}

/* ---- start -------------------------------------------------------------------------------------
 */

static void before_fork(void)
{
    pthread_mutex_lock(&shim.lock);
    scree_emu_npu_before_fork(shim.npu);
}

static void in_parent(void)
{
    scree_emu_npu_in_parent(shim.npu);
    pthread_mutex_unlock(&shim.lock);
}

static void in_child(void)
{
    scree_emu_npu_in_child(shim.npu);
    pthread_mutex_init(&shim.lock, NULL);
}

/* SCREE_EMU_CORES for the setting "cores". */
static const char *from_environment(const char *setting)
{
    char name[64] = "SCREE_EMU_";
    size_t n = strlen(name);

    for (; *setting && n + 1 < sizeof name; setting++)
        name[n++] = (char)(*setting >= 'a' && *setting <= 'z' ? *setting - 'a' + 'A' : *setting);
    name[n] = '\0';
    return getenv(name);
}

/* A program that asked for the software NPU and gets another one than it asked for would mislead:
 * whatever is wrong here ends it. */
static void require(int rc, const struct scree_error *err)
{
    if (rc >= 0)
        return;
    (void)fprintf(stderr, "scree-emu: %s\n", err->text);
    _exit(2);
}

static void start(void)
{
    struct scree_error err;

    scree_emu_options_init(&shim.options);
    for (size_t i = 0; scree_emu_options_name(i); i++) {
        const char *name = scree_emu_options_name(i), *value = from_environment(name);

        if (value)
            require(scree_emu_options_set(&shim.options, name, value, &err), &err);
    }
    require(scree_emu_stats_open(shim.options.stats, &shim.stats, &err), &err);
    require(scree_emu_npu_new(&shim.options, shim.stats, &shim.npu, &err), &err);
    (void)pthread_atfork(before_fork, in_parent, in_child);
}

bool scree_emu_shim_enter(void)
{
    if (inside)
        return false;
    inside = true;
    pthread_once(&once, start);
    return true;
}

void scree_emu_shim_leave(void)
{
    inside = false;
}

const struct scree_emu_options *scree_emu_shim_options(void)
{
    return &shim.options;
}

const struct scree_emu_stats *scree_emu_shim_stats(void)
{
    return shim.stats;
}

/* ---- descriptors -------------------------------------------------------------------------------
 */

/* Room for descriptor fd in the table; with the lock. */
static bool make_room(int fd)
{
    size_t n = (size_t)fd + 1;
    struct scree_emu_file **files;

    if (n <= shim.n_files)
        return true;
    files = realloc(shim.files, n * sizeof files[0]);
    if (!files)
        return false;
    memset(files + shim.n_files, 0, (n - shim.n_files) * sizeof files[0]);
    shim.files = files;
    shim.n_files = n;
    return true;
}

struct scree_emu_file *scree_emu_shim_file(int fd)
{
    struct scree_emu_file *file;

    pthread_mutex_lock(&shim.lock);
    file = fd >= 0 && (size_t)fd < shim.n_files ? shim.files[fd] : NULL;
    pthread_mutex_unlock(&shim.lock);
    return file;
}

/* Makes fd a descriptor of `file` (NULL: of nothing here) and frees what only it stood for. Errors:
 * ENOMEM. Called from inside. */
static int assign(int fd, struct scree_emu_file *file)
{
    struct scree_emu_file *old = NULL;
    bool room;

    pthread_mutex_lock(&shim.lock);
    room = file ? make_room(fd) : (size_t)fd < shim.n_files;
    if (room) {
        old = shim.files[fd];
        shim.files[fd] = file;
        for (size_t i = 0; old && i < shim.n_files; i++)
            if (shim.files[i] == old)
                old = NULL;
    }
    pthread_mutex_unlock(&shim.lock);
    scree_emu_file_free(old);
    return room || !file ? 0 : -ENOMEM;
}

int scree_emu_shim_open_node(int flags)
{
    struct scree_emu_file *file = NULL;
    int rc = scree_emu_file_new(shim.npu, &file, NULL), fd = -1;

    if (rc == 0) {
        fd = fcntl(scree_emu_file_fd(file), flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
        rc = fd < 0 ? -errno : assign(fd, file);
    }
    if (rc == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    scree_emu_file_free(file);
    errno = -rc;
    return -1;
}

void scree_emu_shim_stat(struct stat *ret_stat)
{
    memset(ret_stat, 0, sizeof *ret_stat);
    ret_stat->st_dev = makedev(0, 5);
    ret_stat->st_ino = 1;
    ret_stat->st_mode = S_IFCHR | 0666;
    ret_stat->st_nlink = 1;
    ret_stat->st_rdev = makedev(ACCEL_MAJOR, 0);
    ret_stat->st_blksize = 4096;
}

/* ---- interposed --------------------------------------------------------------------------------
 */

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    static int (*next)(int, unsigned long, ...);
    struct scree_emu_file *file = NULL;
    va_list args;
    void *arg;
    int rc = 0;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (!next)
        next = (int (*)(int, unsigned long, ...))scree_emu_shim_next("ioctl");
    if ((request >> 8 & 0xff) == 'd' && scree_emu_shim_enter()) {
        file = scree_emu_shim_file(fd);
        if (file)
            rc = scree_emu_file_ioctl(file, (uint32_t)request, arg);
        scree_emu_shim_leave();
    }
    if (!file)
        return next(fd, request, arg);
    if (rc >= 0)
        return rc;
    errno = -rc;
    return -1;
}

EXPORT int close(int fd)
{
    static int (*next)(int);
    int rc, code;

    if (!next)
        next = (int (*)(int))scree_emu_shim_next("close");
    rc = next(fd);
    code = errno;
    if (rc == 0 && scree_emu_shim_enter()) {
        if (scree_emu_shim_file(fd))
            (void)assign(fd, NULL);
        scree_emu_shim_leave();
    }
    errno = code;
    return rc;
}

/* `copy` is a new descriptor of what fd is. Returns it, or -1 with errno. */
static int copied(int fd, int copy)
{
    int code = errno, rc = 0;

    if (copy >= 0 && copy != fd && scree_emu_shim_enter()) {
        struct scree_emu_file *file = scree_emu_shim_file(fd);

        if (file || scree_emu_shim_file(copy))
            rc = assign(copy, file);
        scree_emu_shim_leave();
    }
    errno = code;
    if (rc == 0)
        return copy;
    close(copy);
    errno = -rc;
    return -1;
}

EXPORT int dup(int fd)
{
    static int (*next)(int);

    if (!next)
        next = (int (*)(int))scree_emu_shim_next("dup");
    return copied(fd, next(fd));
}

EXPORT int dup2(int fd, int to)
{
    static int (*next)(int, int);

    if (!next)
        next = (int (*)(int, int))scree_emu_shim_next("dup2");
    return copied(fd, next(fd, to));
}

EXPORT int dup3(int fd, int to, int flags)
{
    static int (*next)(int, int, int);

    if (!next)
        next = (int (*)(int, int, int))scree_emu_shim_next("dup3");
    return copied(fd, next(fd, to, flags));
}

static int control(int (*next)(int, int, ...), int fd, int command, void *arg)
{
    int rc = next(fd, command, arg);

    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, rc) : rc;
}

EXPORT int fcntl(int fd, int command, ...)
{
    static int (*next)(int, int, ...);
    va_list args;
    void *arg;

    va_start(args, command);
    arg = va_arg(args, void *);
    va_end(args);
    if (!next)
        next = (int (*)(int, int, ...))scree_emu_shim_next("fcntl");
    return control(next, fd, command, arg);
}

EXPORT int fcntl64(int fd, int command, ...)
{
    static int (*next)(int, int, ...);
    va_list args;
    void *arg;

    va_start(args, command);
    arg = va_arg(args, void *);
    va_end(args);
    if (!next)
        next = (int (*)(int, int, ...))scree_emu_shim_next("fcntl64");
    return control(next, fd, command, arg);
}
