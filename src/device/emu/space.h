/* device/emu/space.h - the NPU's view of memory: 4 GiB of addresses, some of them mapped.
 *
 *     scree_emu_space_init(&space, 0, &err);
 *     scree_emu_space_map(&space, fd, offset, 5000, &iova, &err);
 *     bytes = scree_emu_space_at(&space, iova, 5000);      NULL if any page of it is not mapped
 *
 * A window of addresses is reserved from the system (without memory behind it) and each buffer's
 * pages are placed at their address in it, so that what is adjacent for the NPU is adjacent here,
 * as with an IOMMU. A window that gets too small is followed by one of twice the size, with the
 * same buffers; the old one stays valid, as a core may be at work in it. Pages that are not mapped
 * cannot be touched.
 *
 * Memory: the space owns the windows; buffers' pages belong to the files they are mapped from.
 * Threads: one at a time, but for what scree_emu_space_memory() told. */
#ifndef SCREE_DEVICE_EMU_SPACE_H
#define SCREE_DEVICE_EMU_SPACE_H

#include <sys/types.h>

#include "base/error.h"

/* Where the NPU's memory is here: the byte at iova is bytes[iova - first]. */
struct scree_emu_memory {
    uint8_t *bytes;
    uint64_t first;
};

/* Mapped addresses [iova, iova + n_bytes), whole pages. */
struct scree_emu_range {
    uint64_t iova;
    uint64_t n_bytes;
    int fd;
    off_t offset;
};

#define SCREE_EMU_MAX_WINDOWS 8 /* 64 MiB, 128 MiB, ... 4 GiB */

struct scree_emu_space {
    struct scree_emu_memory windows[SCREE_EMU_MAX_WINDOWS]; /* [n_windows], the last one counts */
    uint64_t window_bytes[SCREE_EMU_MAX_WINDOWS];
    int n_windows;
    uint64_t page;    /* bytes of a page of this system */
    uint64_t first;   /* no buffer is placed below */
    bool never_reuse; /* buffers are placed one behind the other, also behind those gone */
    uint64_t next;
    struct scree_emu_range *ranges; /* [n_ranges], rising, apart or adjacent */
    size_t n_ranges, room;
};

/* An empty space whose buffers are placed from `first`, below 4 GiB, rounded up to a page.
 * Errors: ENOMEM; the space is then as after done. */
int scree_emu_space_init(struct scree_emu_space *space, uint64_t first, struct scree_error *err);

/* Gives the windows back. Accepts an all-zero struct. */
void scree_emu_space_done(struct scree_emu_space *space);

/* Maps bytes [offset, offset + n_bytes) of the file fd, n_bytes in [1, 2^32), at the start of the
 * smallest free range that holds them (the lowest of equals), whole pages.
 * Errors: ENOMEM (no such range, or the system refuses); the space is then unchanged. */
int scree_emu_space_map(struct scree_emu_space *space, int fd, off_t offset, uint32_t n_bytes,
                        uint32_t *ret_iova, struct scree_error *err);

/* Unmaps the buffer that was mapped at iova. */
void scree_emu_space_unmap(struct scree_emu_space *space, uint32_t iova);

/* Where the buffers are that are mapped now; valid until one of them is unmapped. */
struct scree_emu_memory scree_emu_space_memory(const struct scree_emu_space *space);

/* The bytes [iova, iova + n_bytes), n_bytes above 0, or NULL if not all of them are mapped. */
uint8_t *scree_emu_space_at(const struct scree_emu_space *space, uint64_t iova, uint64_t n_bytes);

#endif
