/* device/emu/board.h - the files by which a board with the NPU tells what it has, in a folder.
 *
 * What doctor reads of /sys and /proc (and libdrm of /sys/dev/char), as Linux 7.2 has it on a ROCK
 * 5B with the software NPU's cores; the folder is for the setting "root".
 * Memory: none. Threads: one for a folder. */
#ifndef SCREE_DEVICE_EMU_BOARD_H
#define SCREE_DEVICE_EMU_BOARD_H

#include "device/emu/options.h"

/* Writes the files under the existing, empty folder `root`. Errors: EIO, with the path. */
int scree_emu_board_make(const char *root, const struct scree_emu_options *options,
                         struct scree_error *err);

/* Removes the folder and all that is in it. */
void scree_emu_board_remove(const char *root);

#endif
