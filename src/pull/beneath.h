/* pull/beneath.h - files below a folder, reached one name at a time and never by a link.
 *
 * Every name is one component: no slash, not "..". So what is opened lies in the folder that the
 * descriptor stands for, whoever else writes there. The kernel is asked for that as well
 * (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS); where it has no openat2(), O_NOFOLLOW of a single
 * component says the same.
 *
 * Functions return -1 with errno, as the system calls that they are made of. Memory: none. */
#ifndef SCREE_PULL_BENEATH_H
#define SCREE_PULL_BENEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Opens `name` in `folder` with O_CLOEXEC and `flags`. Returns a descriptor. */
int scree_beneath_open(int folder, const char *name, int flags, mode_t mode);

/* Opens the folder `name`, made first if it is not there. Returns a descriptor. */
int scree_beneath_folder(int folder, const char *name);

/* Writes all of bytes u8[n] at the file's position. Returns 0. */
int scree_beneath_write(int fd, const void *bytes, size_t n);

/* Makes the file `name` of bytes u8[n], on the disk when it returns 0; one that is there goes. */
int scree_beneath_put(int folder, const char *name, const void *bytes, size_t n, mode_t mode);

/* Reads up to n - 1 bytes of the file `name` into text char[n], terminated; "" if there is none. */
void scree_beneath_get(int folder, const char *name, char *text, size_t n);

/* Removes the folder `name` with the files in it, or a file. What is not there is no error. */
int scree_beneath_remove(int folder, const char *name);

/* Opens the lock file `name` and takes it. With wait false returns -1 and EWOULDBLOCK if another
 * process has it. Returns a descriptor for scree_beneath_unlock(); it ends with the process. */
int scree_beneath_lock(int folder, const char *name, bool wait);

/* Gives the lock back and removes its file. */
void scree_beneath_unlock(int folder, const char *name, int lock);

#endif
