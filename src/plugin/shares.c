#include "plugin/shares.h"

#include <stdio.h>
#include <string.h>

void scree_share_id(const struct scree_plugin_npu *npu, uint32_t share, char *text)
{
    (void)snprintf(text, SCREE_SHARE_ID, "%s-%u", npu->node.name, share);
}

const struct scree_plugin_npu *scree_share_find(const struct scree_npus *npus, uint32_t n_shares,
                                                const char *id, size_t n, uint32_t *ret_share)
{
    const char *dash = memrchr(id, '-', n);
    const struct scree_plugin_npu *npu;
    char text[SCREE_SHARE_ID];

    if (!dash || n >= sizeof text)
        return NULL;
    npu = scree_npus_find(npus, id, (size_t)(dash - id));
    if (!npu)
        return NULL;
    /* The number has one way to be written: that of scree_share_id(). */
    for (uint32_t s = 0; s < n_shares; s++) {
        scree_share_id(npu, s, text);
        if (strlen(text) == n && memcmp(text, id, n) == 0) {
            *ret_share = s;
            return npu;
        }
    }
    return NULL;
}

static uint32_t count_bits(uint64_t bits)
{
    return (uint32_t)__builtin_popcountll(bits);
}

uint32_t scree_share_count(const struct scree_share_set *set)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < SCREE_NPU_MAX_NODES; i++)
        n += count_bits(set->v[i]);
    return n;
}

/* The NPU for the next share, or npus->n if no share is left. */
static uint32_t best_npu(const struct scree_npus *npus, const struct scree_share_set *left,
                         const struct scree_share_set *taken)
{
    uint32_t best = npus->n;

    for (uint32_t i = 0; i < npus->n; i++) {
        uint32_t n_left = count_bits(left->v[i]), n_taken = count_bits(taken->v[i]);

        if (n_left == 0)
            continue;
        if (best == npus->n || n_taken < count_bits(taken->v[best]) ||
            (n_taken == count_bits(taken->v[best]) && n_left > count_bits(left->v[best])))
            best = i;
    }
    return best;
}

void scree_share_prefer(const struct scree_npus *npus, const struct scree_share_set *available,
                        const struct scree_share_set *needed, uint32_t n,
                        struct scree_share_set *ret_set)
{
    struct scree_share_set left;

    *ret_set = *needed;
    for (uint32_t i = 0; i < SCREE_NPU_MAX_NODES; i++)
        left.v[i] = available->v[i] & ~needed->v[i];
    while (scree_share_count(ret_set) < n) {
        uint32_t i = best_npu(npus, &left, ret_set);
        uint64_t lowest;

        if (i == npus->n)
            return;
        lowest = left.v[i] & (0 - left.v[i]);
        left.v[i] &= ~lowest;
        ret_set->v[i] |= lowest;
    }
}
