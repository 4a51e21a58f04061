/* device/emu/shim.h - what the interposed functions of libscree-emu.so share.
 *
 * The library is preloaded (LD_PRELOAD) and answers for the device node and for files of /proc and
 * /sys that tell of it; every other call goes on to the C library.
 *
 * Threads: any. Fork: a child opens the device anew or uses what it inherited; jobs of its parent
 * are not its own. */
#ifndef SCREE_DEVICE_EMU_SHIM_H
#define SCREE_DEVICE_EMU_SHIM_H

#include <sys/stat.h>

#include "device/emu/npu.h"

#define SCREE_EMU_NODE "/dev/accel/accel0"

/* Marks the calling thread as inside the shim, whose own calls to the C library are not answered.
 * Returns false if it is already. The first call takes the settings from the environment. */
bool scree_emu_shim_enter(void);
void scree_emu_shim_leave(void);

/* The settings. After a first scree_emu_shim_enter(). */
const struct scree_emu_options *scree_emu_shim_options(void);

/* A new descriptor of the device node, or -1 with errno. */
int scree_emu_shim_open_node(int flags);

/* A memory file with /proc/interrupts and a line for each core, or -1 with errno. */
int scree_emu_shim_open_interrupts(int flags);

/* The file behind a descriptor of the device node, or NULL. */
struct scree_emu_file *scree_emu_shim_file(int fd);

/* What stat() tells of the device node. */
void scree_emu_shim_stat(struct stat *ret_stat);

/* The counters. */
const struct scree_emu_stats *scree_emu_shim_stats(void);

/* The next definition of a function of the C library. Never NULL: ends the process if there is
 * none. */
void *scree_emu_shim_next(const char *name);

#endif
