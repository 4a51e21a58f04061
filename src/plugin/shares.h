/* plugin/shares.h - the devices that the kubelet counts: shares of NPUs.
 *
 * Share s of the NPU accel0 has the id "accel0-s". A container that is given several shares gets
 * their NPUs once each, and as many instances of a model pay off as it has shares.
 *
 * Pure. Memory: none. */
#ifndef SCREE_PLUGIN_SHARES_H
#define SCREE_PLUGIN_SHARES_H

#include "plugin/npus.h"

/* The longest id with its zero byte. Source: api.proto, "Max length of this field is 63". */
#define SCREE_SHARE_ID 64

/* Writes the id of a share into text[SCREE_SHARE_ID]. */
void scree_share_id(const struct scree_plugin_npu *npu, uint32_t share, char *text);

/* Which share an id char[n] names: its NPU and its number, which is under n_shares. Returns the NPU
 * or NULL. */
const struct scree_plugin_npu *scree_share_find(const struct scree_npus *npus, uint32_t n_shares,
                                                const char *id, size_t n, uint32_t *ret_share);

/* Some of the shares of all NPUs, as bits: bit s of v[i] is share s of npus->v[i]. */
struct scree_share_set {
    uint64_t v[SCREE_NPU_MAX_NODES];
};

/* How many shares are in the set. */
uint32_t scree_share_count(const struct scree_share_set *set);

/* Prefers n of the shares in `available`, those in `needed` among them: each next one from the NPU
 * that gave fewest so far, and of these the one that has most left, so that load spreads.
 * *ret_set has fewer if there are not so many. */
void scree_share_prefer(const struct scree_npus *npus, const struct scree_share_set *available,
                        const struct scree_share_set *needed, uint32_t n,
                        struct scree_share_set *ret_set);

#endif
