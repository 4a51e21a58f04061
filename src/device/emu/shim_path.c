/* Paths: the device node, and the folder whose /sys, /proc and /dev stand before the real ones.
 *
 * A name is looked up in that folder first. It counts there if it is a file, or if it is a folder
 * that this machine does not have: so /sys/class/accel appears, and /sys/class keeps the rest. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "device/emu/shim.h"

#define EXPORT __attribute__((visibility("default")))

/* Where a name leads. */
enum place {
    PLACE_REAL,       /* to the C library, as it is */
    PLACE_NODE,       /* the device node */
    PLACE_INTERRUPTS, /* /proc/interrupts */
    PLACE_ROOT,       /* to the C library, under another name */
};

struct lookup {
    enum place place;
    char path[PATH_MAX]; /* of PLACE_ROOT */
};

/* ---- looking up --------------------------------------------------------------------------------
 */

static bool begins_with(const char *path, const char *prefix)
{
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

/* True if the folder of the settings has the name and it counts. */
static bool in_root(const char *root, const char *path, struct lookup *lookup)
{
    struct stat there, here;

    if ((size_t)snprintf(lookup->path, sizeof lookup->path, "%s%s", root, path) >=
        sizeof lookup->path)
        return false;
    if (syscall(SYS_newfstatat, AT_FDCWD, lookup->path, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    return !S_ISDIR(there.st_mode) ||
           syscall(SYS_newfstatat, AT_FDCWD, path, &here, AT_SYMLINK_NOFOLLOW) < 0;
}

static enum place find(const char *path, struct lookup *lookup)
{
    const char *root = scree_emu_shim_options()->root;

    if (strcmp(path, SCREE_EMU_NODE) == 0)
        return PLACE_NODE;
    if (strcmp(path, "/proc/interrupts") == 0)
        return PLACE_INTERRUPTS;
    if (root && in_root(root, path, lookup))
        return PLACE_ROOT;
    return PLACE_REAL;
}

/* Looks a name up, and leaves errno alone. */
static enum place look_up(const char *path, struct lookup *lookup)
{
    int code = errno;

    lookup->place = PLACE_REAL;
    if (path &&
        (begins_with(path, "/dev/") || begins_with(path, "/sys/") || begins_with(path, "/proc/")) &&
        scree_emu_shim_enter()) {
        lookup->place = find(path, lookup);
        scree_emu_shim_leave();
    }
    errno = code;
    return lookup->place;
}

/* The name for calls that have nothing of their own to tell of a place. */
static const char *renamed(const char *path, struct lookup *lookup)
{
    return look_up(path, lookup) == PLACE_ROOT ? lookup->path : path;
}

/* ---- open --------------------------------------------------------------------------------------
 */

/* Opens what is not a file of the system, or returns -2. */
static int open_special(enum place place, int flags)
{
    int fd = -2;

    if (place != PLACE_NODE && place != PLACE_INTERRUPTS)
        return fd;
    if (scree_emu_shim_enter()) {
        fd = place == PLACE_NODE ? scree_emu_shim_open_node(flags)
                                 : scree_emu_shim_open_interrupts(flags);
        scree_emu_shim_leave();
    }
    return fd;
}

typedef int open_fn(const char *, int, ...);
typedef int openat_fn(int, const char *, int, ...);

static int open_path(open_fn *next, const char *path, int flags, mode_t mode)
{
    struct lookup lookup;
    const char *name = renamed(path, &lookup);
    int fd = open_special(lookup.place, flags);

    return fd == -2 ? next(name, flags, mode) : fd;
}

static int openat_path(openat_fn *next, int folder, const char *path, int flags, mode_t mode)
{
    struct lookup lookup;
    const char *name = renamed(path, &lookup);
    int fd = open_special(lookup.place, flags);

    return fd == -2 ? next(folder, name, flags, mode) : fd;
}

/* The mode that follows flags, if one does. */
#define TAKE_MODE(flags, mode)                                               \
    do {                                                                     \
        va_list args;                                                        \
                                                                             \
        va_start(args, flags);                                               \
        (mode) = (flags) & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0; \
        va_end(args);                                                        \
    } while (0)

#define OPEN(name)                                        \
    EXPORT int name(const char *path, int flags, ...)     \
    {                                                     \
        static open_fn *next;                             \
        mode_t mode;                                      \
                                                          \
        TAKE_MODE(flags, mode);                           \
        if (!next)                                        \
            next = (open_fn *)scree_emu_shim_next(#name); \
        return open_path(next, path, flags, mode);        \
    }

#define OPENAT(name)                                              \
    EXPORT int name(int folder, const char *path, int flags, ...) \
    {                                                             \
        static openat_fn *next;                                   \
        mode_t mode;                                              \
                                                                  \
        TAKE_MODE(flags, mode);                                   \
        if (!next)                                                \
            next = (openat_fn *)scree_emu_shim_next(#name);       \
        return openat_path(next, folder, path, flags, mode);      \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What open() is with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);

EXPORT int __open_2(const char *path, int flags)
{
    return open(path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags)
{
    return open(path, flags, 0);
}

EXPORT int __openat_2(int folder, const char *path, int flags)
{
    return openat(folder, path, flags, 0);
}

EXPORT int __openat64_2(int folder, const char *path, int flags)
{
    return openat(folder, path, flags, 0);
}

typedef FILE *fopen_fn(const char *, const char *);

static FILE *fopen_path(fopen_fn *next, const char *path, const char *mode)
{
    struct lookup lookup;
    const char *name = renamed(path, &lookup);
    int fd = open_special(lookup.place, O_RDWR);

    if (fd == -2)
        return next(name, mode);
    return fd < 0 ? NULL : fdopen(fd, mode);
}

EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
    static fopen_fn *next;

    if (!next)
        next = (fopen_fn *)scree_emu_shim_next("fopen");
    return fopen_path(next, path, mode);
}

EXPORT FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    static fopen_fn *next;

    if (!next)
        next = (fopen_fn *)scree_emu_shim_next("fopen64");
    return fopen_path(next, path, mode);
}

EXPORT DIR *opendir(const char *path)
{
    static DIR *(*next)(const char *);
    struct lookup lookup;

    if (!next)
        next = (DIR * (*)(const char *)) scree_emu_shim_next("opendir");
    return next(renamed(path, &lookup));
}

/* ---- stat --------------------------------------------------------------------------------------
 *
 * struct stat and the kernel's are one on 64-bit systems, so the call can be made directly: the C
 * library has had several names for it over the years. */

static bool is_node(int fd)
{
    bool yes = false;

    if (scree_emu_shim_enter()) {
        yes = scree_emu_shim_file(fd) != NULL;
        scree_emu_shim_leave();
    }
    return yes;
}

static int stat_at(int folder, const char *path, struct stat *st, int flags)
{
    struct lookup lookup;
    const char *name = renamed(path, &lookup);

    if (lookup.place == PLACE_NODE ||
        (flags & AT_EMPTY_PATH && (!path || !*path) && is_node(folder))) {
        scree_emu_shim_stat(st);
        return 0;
    }
    return (int)syscall(SYS_newfstatat, folder, name, st, flags);
}

EXPORT int stat(const char *restrict path, struct stat *restrict st)
{
    return stat_at(AT_FDCWD, path, st, 0);
}

EXPORT int lstat(const char *restrict path, struct stat *restrict st)
{
    return stat_at(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int fstat(int fd, struct stat *st)
{
    return stat_at(fd, "", st, AT_EMPTY_PATH);
}

EXPORT int fstatat(int folder, const char *restrict path, struct stat *restrict st, int flags)
{
    return stat_at(folder, path, st, flags);
}

EXPORT int stat64(const char *restrict path, struct stat64 *restrict st)
{
    return stat_at(AT_FDCWD, path, (struct stat *)(void *)st, 0);
}

EXPORT int lstat64(const char *restrict path, struct stat64 *restrict st)
{
    return stat_at(AT_FDCWD, path, (struct stat *)(void *)st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int fstat64(int fd, struct stat64 *st)
{
    return stat_at(fd, "", (struct stat *)(void *)st, AT_EMPTY_PATH);
}

EXPORT int fstatat64(int folder, const char *restrict path, struct stat64 *restrict st, int flags)
{
    return stat_at(folder, path, (struct stat *)(void *)st, flags);
}

/* Their names before glibc 2.33. */
int __xstat(int version, const char *path, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st);
int __fxstat(int version, int fd, struct stat *st);
int __fxstatat(int version, int folder, const char *path, struct stat *st, int flags);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstat64(int version, int fd, struct stat64 *st);
int __fxstatat64(int version, int folder, const char *path, struct stat64 *st, int flags);

EXPORT int __xstat(int version, const char *path, struct stat *st)
{
    return stat(path, st);
}

EXPORT int __lxstat(int version, const char *path, struct stat *st)
{
    return lstat(path, st);
}

EXPORT int __fxstat(int version, int fd, struct stat *st)
{
    return fstat(fd, st);
}

EXPORT int __fxstatat(int version, int folder, const char *path, struct stat *st, int flags)
{
    return fstatat(folder, path, st, flags);
}

EXPORT int __xstat64(int version, const char *path, struct stat64 *st)
{
    return stat64(path, st);
}

EXPORT int __lxstat64(int version, const char *path, struct stat64 *st)
{
    return lstat64(path, st);
}

EXPORT int __fxstat64(int version, int fd, struct stat64 *st)
{
    return fstat64(fd, st);
}

EXPORT int __fxstatat64(int version, int folder, const char *path, struct stat64 *st, int flags)
{
    return fstatat64(folder, path, st, flags);
}

/* The answer of stat() in the words of statx(). */
static void widen(const struct stat *st, struct statx *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->stx_mask = STATX_BASIC_STATS;
    ret->stx_blksize = (uint32_t)st->st_blksize;
    ret->stx_nlink = (uint32_t)st->st_nlink;
    ret->stx_mode = (uint16_t)st->st_mode;
    ret->stx_ino = st->st_ino;
    ret->stx_rdev_major = 261;
    ret->stx_dev_minor = 5;
}

EXPORT int statx(int folder, const char *restrict path, int flags, unsigned mask,
                 struct statx *restrict ret)
{
    struct lookup lookup;
    const char *name = renamed(path, &lookup);
    struct stat st;

    if (lookup.place != PLACE_NODE && !(flags & AT_EMPTY_PATH && !*path && is_node(folder)))
        return (int)syscall(SYS_statx, folder, name, flags, mask, ret);
    scree_emu_shim_stat(&st);
    widen(&st, ret);
    return 0;
}

/* ---- the rest ----------------------------------------------------------------------------------
 */

static int access_at(int folder, const char *path, int mode)
{
    struct lookup lookup;
    const char *name = renamed(path, &lookup);

    if (lookup.place != PLACE_NODE)
        return (int)syscall(SYS_faccessat, folder, name, mode);
    if (!(mode & X_OK))
        return 0;
    errno = EACCES;
    return -1;
}

EXPORT int access(const char *path, int mode)
{
    return access_at(AT_FDCWD, path, mode);
}

EXPORT int eaccess(const char *path, int mode)
{
    return access_at(AT_FDCWD, path, mode);
}

EXPORT int euidaccess(const char *path, int mode)
{
    return access_at(AT_FDCWD, path, mode);
}

EXPORT int faccessat(int folder, const char *path, int mode, int flags)
{
    return access_at(folder, path, mode);
}

EXPORT ssize_t readlink(const char *restrict path, char *restrict text, size_t n)
{
    struct lookup lookup;

    return syscall(SYS_readlinkat, AT_FDCWD, renamed(path, &lookup), text, n);
}

EXPORT ssize_t readlinkat(int folder, const char *restrict path, char *restrict text, size_t n)
{
    struct lookup lookup;

    return syscall(SYS_readlinkat, folder, renamed(path, &lookup), text, n);
}

/* Extended attributes, which ls(1) asks for: the node has none. */
static ssize_t attribute(long call, const char *path, const char *name, void *value, size_t n)
{
    struct lookup lookup;
    const char *real = renamed(path, &lookup);

    if (lookup.place != PLACE_NODE)
        return syscall(call, real, name, value, n);
    errno = ENODATA;
    return -1;
}

EXPORT ssize_t getxattr(const char *path, const char *name, void *value, size_t n)
{
    return attribute(SYS_getxattr, path, name, value, n);
}

EXPORT ssize_t lgetxattr(const char *path, const char *name, void *value, size_t n)
{
    return attribute(SYS_lgetxattr, path, name, value, n);
}

static ssize_t list_attributes(long call, const char *path, char *list, size_t n)
{
    struct lookup lookup;
    const char *real = renamed(path, &lookup);

    return lookup.place == PLACE_NODE ? 0 : syscall(call, real, list, n);
}

EXPORT ssize_t listxattr(const char *path, char *list, size_t n)
{
    return list_attributes(SYS_listxattr, path, list, n);
}

EXPORT ssize_t llistxattr(const char *path, char *list, size_t n)
{
    return list_attributes(SYS_llistxattr, path, list, n);
}

/* The real name of what lies in the folder of the settings begins with that folder's: not for who
 * asks. */
static char *unrooted(char *path)
{
    const char *root = scree_emu_shim_options()->root;
    size_t n = root ? strlen(root) : 0;

    if (path && n > 0 && strncmp(path, root, n) == 0 && path[n] == '/')
        memmove(path, path + n, strlen(path + n) + 1);
    return path;
}

EXPORT char *realpath(const char *restrict path, char *restrict resolved)
{
    static char *(*next)(const char *, char *);
    struct lookup lookup;

    if (!next)
        next = (char *(*)(const char *, char *))scree_emu_shim_next("realpath");
    if (look_up(path, &lookup) == PLACE_ROOT)
        return unrooted(next(lookup.path, resolved));
    return next(path, resolved);
}
