#include "device/emu/task.h"

#include <inttypes.h>
#include <string.h>

/* REGISTER_AMOUNTS has 16 bits and counts pairs of words, minus one. */
#define MAX_WORDS (2u * 65536u)

/* Fetches the words, by pairs: an odd count fetches one more. */
static int fetch(const struct scree_rocket_task *task, const struct scree_emu_space *space,
                 const uint64_t **ret_words, size_t *ret_n_words, struct scree_error *err)
{
    size_t n_words = ((size_t)task->regcmd_count + 1) / 2 * 2;
    const uint8_t *bytes;

    if (task->regcmd_count == 0 || n_words > MAX_WORDS)
        return scree_fail(err, EBADMSG, "a task of %u words", task->regcmd_count);
    if (task->regcmd % 16 != 0)
        return scree_fail(err, EBADMSG, "words at 0x%08x, not a multiple of 16", task->regcmd);
    bytes = scree_emu_space_at(space, task->regcmd, n_words * sizeof(uint64_t));
    if (!bytes)
        return scree_fail(err, EIO, "words: [0x%08x, 0x%08" PRIx64 ") is not mapped", task->regcmd,
                          task->regcmd + (uint64_t)n_words * sizeof(uint64_t));
    *ret_words = (const uint64_t *)(const void *)bytes;
    *ret_n_words = n_words;
    return 0;
}

int scree_emu_task_read(const struct scree_rocket_task *task, const struct scree_emu_space *space,
                        const struct scree_emu_task_state *state, struct scree_emu_task *ret_task,
                        struct scree_error *err)
{
    const uint32_t ppu = SCREE_ENABLE_PPU | SCREE_ENABLE_PPU_RDMA;
    struct scree_emu_regs regs;
    const uint64_t *words = NULL;
    size_t n_words = 0;
    int rc = fetch(task, space, &words, &n_words, err);

    memset(ret_task, 0, sizeof *ret_task);
    if (rc == 0)
        rc = scree_emu_stream_read(words, n_words, &regs, err);
    if (rc < 0 || (regs.enabled & ~ppu) == 0)
        return rc;
    rc = scree_emu_conv_read(&regs, &state->loaded, &ret_task->conv, err);
    if (rc == 0)
        rc = scree_emu_conv_check_memory(&ret_task->conv, space, err);
    if (rc < 0)
        return rc;
    ret_task->interrupts = true;
    ret_task->cost = scree_emu_conv_cost(&ret_task->conv);
    if (ret_task->cost.cycles > state->cycles_left)
        return scree_fail(err, ETIMEDOUT, "would take %" PRIu64 " cycles of the %" PRIu64 " left",
                          ret_task->cost.cycles, state->cycles_left);
    return 0;
}

int scree_emu_task_execute(const struct scree_emu_task *task, struct scree_emu_memory memory,
                           enum scree_emu_rounding rounding, struct scree_emu_task_state *state,
                           struct scree_error *err)
{
    int rc;

    if (!task->interrupts)
        return 0;
    rc = scree_emu_conv_run(&task->conv, memory, rounding, err);
    if (rc < 0)
        return rc;
    if (!task->conv.weights_reused)
        state->loaded = task->conv.weights;
    state->cycles_left -= task->cost.cycles;
    return 0;
}
