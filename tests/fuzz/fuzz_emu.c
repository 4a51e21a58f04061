/* Any bytes as a task of the software NPU: whatever the words say, it ends, and touches no memory
 * but the one buffer that is mapped. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device/emu/task.h"
#include "fuzz/fuzz.h"

/* The words, and behind them what they may point to. */
#define MEMORY_BYTES (1u << 20)

/* About ten milliseconds here. */
#define MAX_CYCLES 50000

static struct scree_emu_space space;
static uint8_t *memory;

static void set_up(void)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    uint32_t iova = 1;

    if (fd < 0 || ftruncate(fd, MEMORY_BYTES) < 0 || scree_emu_space_init(&space, 0, NULL) < 0 ||
        scree_emu_space_map(&space, fd, 0, MEMORY_BYTES, &iova, NULL) < 0 || iova != 0)
        abort();
    memory = scree_emu_space_at(&space, 0, MEMORY_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_emu_task_state state = {.cycles_left = MAX_CYCLES};
    size_t n = n_bytes < MEMORY_BYTES / 4 ? n_bytes : MEMORY_BYTES / 4;
    struct scree_rocket_task task = {.regcmd = 0, .regcmd_count = (uint32_t)(n / 8)};
    struct scree_emu_task read;
    struct scree_error err;

    if (!memory)
        set_up();
    if (n > 0)
        memcpy(memory, bytes, n);
    memset(memory + n, 0, MEMORY_BYTES / 2 - n);
    memset(memory + MEMORY_BYTES / 2, 0x81, MEMORY_BYTES / 2);
    /* Twice: the second task may find weights in the banks. */
    for (int i = 0; i < 2; i++) {
        int rc = scree_emu_task_read(&task, &space, &state, &read, &err);

        if (rc < 0 && err.text[0] == '\0')
            abort();
        if (rc < 0 || scree_emu_task_execute(&read, scree_emu_space_memory(&space),
                                             SCREE_EMU_ROUND_EVEN, &state, &err) < 0)
            break;
    }
    return 0;
}
