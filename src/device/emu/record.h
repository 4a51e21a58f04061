/* device/emu/record.h - what a program submits, as text and files: to read, to compare, to replay.
 *
 * In the folder of the setting "record", submitNNN.txt holds submit NNN of the process (its jobs,
 * tasks, every word, every live buffer) and submitNNN-boHHH.bin the bytes of buffer HHH, unless all
 * are zero. tests/emu reads them. Memory: none. Threads: called with the npu's lock held. */
#ifndef SCREE_DEVICE_EMU_RECORD_H
#define SCREE_DEVICE_EMU_RECORD_H

#include "device/emu/npu.h"

/* Records one submit of jobs[n_jobs], if that is asked for. A file that cannot be written is left
 * out. */
void scree_emu_record(struct scree_emu_file *file, const struct scree_rocket_job *jobs,
                      uint32_t n_jobs);

#endif
