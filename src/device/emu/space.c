#include "device/emu/space.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SPACE_BYTES  (UINT64_C(1) << 32)
#define WINDOW_BYTES (UINT64_C(64) << 20)

static uint64_t whole_pages(const struct scree_emu_space *space, uint64_t n_bytes)
{
    return (n_bytes + space->page - 1) & ~(space->page - 1);
}

/* Adds a window of n_bytes. */
static int reserve(struct scree_emu_space *space, uint64_t n_bytes, struct scree_error *err)
{
    void *bytes = MAP_FAILED;

    if (space->n_windows < SCREE_EMU_MAX_WINDOWS)
        bytes = mmap(NULL, n_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED)
        return scree_fail(err, ENOMEM, "no %zu bytes of addresses for the NPU", (size_t)n_bytes);
    space->windows[space->n_windows] = (struct scree_emu_memory){bytes, space->first};
    space->window_bytes[space->n_windows++] = n_bytes;
    return 0;
}

int scree_emu_space_init(struct scree_emu_space *space, uint64_t first, struct scree_error *err)
{
    assert(first < SPACE_BYTES);
    memset(space, 0, sizeof *space);
    space->page = (uint64_t)sysconf(_SC_PAGESIZE);
    space->first = whole_pages(space, first);
    space->next = space->first;
    return reserve(space, WINDOW_BYTES, err);
}

void scree_emu_space_done(struct scree_emu_space *space)
{
    for (int i = 0; i < space->n_windows; i++)
        munmap(space->windows[i].bytes, space->window_bytes[i]);
    free(space->ranges);
    memset(space, 0, sizeof *space);
}

struct scree_emu_memory scree_emu_space_memory(const struct scree_emu_space *space)
{
    return space->windows[space->n_windows - 1];
}

/* Places a range in the newest window. */
static bool place(const struct scree_emu_space *space, const struct scree_emu_range *range)
{
    struct scree_emu_memory memory = scree_emu_space_memory(space);

    return mmap(memory.bytes + (range->iova - memory.first), range->n_bytes, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED, range->fd, range->offset) != MAP_FAILED;
}

/* Makes the newest window hold addresses up to `end`. On failure the one before still counts. */
static int grow(struct scree_emu_space *space, uint64_t end, struct scree_error *err)
{
    uint64_t n_bytes = space->window_bytes[space->n_windows - 1];
    int rc;

    if (end - space->first <= n_bytes)
        return 0;
    while (n_bytes < end - space->first)
        n_bytes *= 2;
    rc = reserve(space, n_bytes, err);
    for (size_t i = 0; rc == 0 && i < space->n_ranges; i++)
        if (!place(space, &space->ranges[i]))
            rc = scree_fail(err, ENOMEM, "cannot map %zu bytes for the NPU",
                            (size_t)space->ranges[i].n_bytes);
    if (rc < 0 && space->window_bytes[space->n_windows - 1] == n_bytes) {
        space->n_windows--;
        munmap(space->windows[space->n_windows].bytes, n_bytes);
    }
    return rc;
}

/* Where the free range before ranges[i] begins; i == n_ranges is the one behind the last. */
static uint64_t hole_start(const struct scree_emu_space *space, size_t i)
{
    return i > 0 ? space->ranges[i - 1].iova + space->ranges[i - 1].n_bytes : space->first;
}

static uint64_t hole_end(const struct scree_emu_space *space, size_t i)
{
    return i < space->n_ranges ? space->ranges[i].iova : SPACE_BYTES;
}

/* The index of the free range to use, or -1. */
static ssize_t find_hole(const struct scree_emu_space *space, uint64_t n_bytes)
{
    uint64_t best_bytes = UINT64_MAX;
    ssize_t best = -1;

    for (size_t i = 0; i <= space->n_ranges; i++) {
        uint64_t bytes = hole_end(space, i) - hole_start(space, i);

        if (bytes >= n_bytes && bytes < best_bytes) {
            best_bytes = bytes;
            best = (ssize_t)i;
        }
    }
    return best;
}

static int make_room(struct scree_emu_space *space, struct scree_error *err)
{
    size_t room = space->room ? 2 * space->room : 64;
    struct scree_emu_range *ranges;

    if (space->n_ranges < space->room)
        return 0;
    ranges = realloc(space->ranges, room * sizeof *ranges);
    if (!ranges)
        return scree_fail_memory(err, room * sizeof *ranges);
    space->ranges = ranges;
    space->room = room;
    return 0;
}

int scree_emu_space_map(struct scree_emu_space *space, int fd, off_t offset, uint32_t n_bytes,
                        uint32_t *ret_iova, struct scree_error *err)
{
    uint64_t bytes = whole_pages(space, n_bytes), iova;
    ssize_t i = space->never_reuse ? (ssize_t)space->n_ranges : find_hole(space, bytes);
    struct scree_emu_range range;
    int rc = make_room(space, err);

    assert(n_bytes > 0);
    if (rc < 0)
        return rc;
    if (i < 0 || (space->never_reuse && SPACE_BYTES - space->next < bytes))
        return scree_fail(err, ENOMEM, "no %u bytes of NPU addresses are free", n_bytes);
    iova = space->never_reuse ? space->next : hole_start(space, (size_t)i);
    range = (struct scree_emu_range){iova, bytes, fd, offset};
    rc = grow(space, iova + bytes, err);
    if (rc < 0)
        return rc;
    if (!place(space, &range))
        return scree_fail(err, ENOMEM, "cannot map %u bytes for the NPU", n_bytes);
    memmove(&space->ranges[i + 1], &space->ranges[i],
            (space->n_ranges - (size_t)i) * sizeof space->ranges[0]);
    space->ranges[i] = range;
    space->n_ranges++;
    space->next = iova + bytes;
    *ret_iova = (uint32_t)iova;
    return 0;
}

/* The index of the last range that begins at or below iova, or -1. */
static ssize_t find_range(const struct scree_emu_space *space, uint64_t iova)
{
    size_t low = 0, high = space->n_ranges;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (space->ranges[middle].iova <= iova)
            low = middle + 1;
        else
            high = middle;
    }
    return (ssize_t)low - 1;
}

void scree_emu_space_unmap(struct scree_emu_space *space, uint32_t iova)
{
    ssize_t i = find_range(space, iova);

    assert(i >= 0 && space->ranges[i].iova == iova);
    /* Reserved again; cannot fail for want of memory, as it only replaces. */
    for (int k = 0; k < space->n_windows; k++)
        if (iova - space->first < space->window_bytes[k])
            (void)mmap(space->windows[k].bytes + (iova - space->first), space->ranges[i].n_bytes,
                       PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    space->n_ranges--;
    memmove(&space->ranges[i], &space->ranges[i + 1],
            (space->n_ranges - (size_t)i) * sizeof space->ranges[0]);
}

uint8_t *scree_emu_space_at(const struct scree_emu_space *space, uint64_t iova, uint64_t n_bytes)
{
    uint64_t at = iova;

    if (n_bytes == 0 || n_bytes > SPACE_BYTES || iova > SPACE_BYTES - n_bytes)
        return NULL;
    for (ssize_t i = find_range(space, iova); i >= 0 && (size_t)i < space->n_ranges; i++) {
        if (space->ranges[i].iova > at || space->ranges[i].iova + space->ranges[i].n_bytes <= at)
            return NULL;
        at = space->ranges[i].iova + space->ranges[i].n_bytes;
        if (at >= iova + n_bytes)
            return scree_emu_space_memory(space).bytes + (iova - space->first);
    }
    return NULL;
}
