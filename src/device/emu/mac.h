/* device/emu/mac.h - a convolution task, executed.
 *
 * Specified by docs/regcmd.md. Every result is that of exact integer sums: the order of
 * additions is free and chosen for speed.
 *
 * Memory: allocated for the call and freed. Threads: any number, if their outputs are apart. */
#ifndef SCREE_DEVICE_EMU_MAC_H
#define SCREE_DEVICE_EMU_MAC_H

#include "device/emu/dpu.h"

/* Executes a task whose memory scree_emu_conv_check_memory() found mapped; `memory` is
 * that of the same space. Reads and writes nothing else. Errors: ENOMEM, before anything is
 * written. */
int scree_emu_conv_run(const struct scree_emu_conv *conv, struct scree_emu_memory memory,
                       enum scree_emu_rounding rounding, struct scree_error *err);

#endif
