/* plugin/answers.h - what the kubelet asks a device plugin, and what it is told: bytes to bytes.
 *
 * Each answer is the message of a method of v1beta1.DevicePlugin, or of the services by which
 * plugins register, put into a buffer. Requests are checked here: an id that is not one of ours, a
 * message that is none.
 *
 * Errors of all: EBADMSG (no such message), EINVAL (an id that is not ours), ENODEV (an NPU that is
 * not healthy), E2BIG (the answer is over the buffer's limit), with a text for the peer.
 *
 * Pure. Memory: the buffer's. Source: k8s.io/kubelet/pkg/apis, deviceplugin/v1beta1/api.proto and
 * pluginregistration/v1/api.proto. */
#ifndef SCREE_PLUGIN_ANSWERS_H
#define SCREE_PLUGIN_ANSWERS_H

#include "net/pb.h"
#include "plugin/shares.h"

/* What is offered to the kubelet.
 *
 * resource  its name, "npu.rockchip.com/rk3588"
 * n_shares  of each NPU, in [1, 64]
 * exclusive the one share means all cores
 * cdi_kind  "npu.rockchip.com/rk3588", or "" without CDI */
struct scree_offer {
    const struct scree_npus *npus;
    const char *resource;
    uint32_t n_shares;
    bool exclusive;
    char cdi_kind[72];
};

/* DevicePluginOptions: preferences are given, containers start without being asked for. */
void scree_answer_options(struct scree_buffer *reply);

/* ListAndWatchResponse: every share of every NPU with its health. */
void scree_answer_list(const struct scree_offer *offer, struct scree_buffer *reply);

/* PreferredAllocationRequest u8[n] to PreferredAllocationResponse. */
int scree_answer_preferred(const struct scree_offer *offer, const uint8_t *request, size_t n,
                           struct scree_buffer *reply, struct scree_error *err);

/* AllocateRequest u8[n] to AllocateResponse: device nodes, CDI names and variables. */
int scree_answer_allocate(const struct scree_offer *offer, const uint8_t *request, size_t n,
                          struct scree_buffer *reply, struct scree_error *err);

/* PreStartContainerRequest u8[n] to PreStartContainerResponse. */
int scree_answer_prestart(const struct scree_offer *offer, const uint8_t *request, size_t n,
                          struct scree_buffer *reply, struct scree_error *err);

/* RegisterRequest, by which a plugin with the socket `endpoint` in the kubelet's folder registers.
 */
void scree_ask_register(const struct scree_offer *offer, const char *endpoint,
                        struct scree_buffer *request);

/* PluginInfo of the other way to register: `type` "DevicePlugin" or "DRAPlugin", the socket
 * `endpoint` with its folder, the supported versions, NULL behind the last. */
void scree_answer_info(const char *type, const char *name, const char *endpoint,
                       const char *const *versions, struct scree_buffer *reply);

/* Reads RegistrationStatus u8[n]: whether it worked, and if not the kubelet's reason, made safe to
 * print, into text[n_text]. */
int scree_read_status(const uint8_t *request, size_t n, bool *ret_registered, char *text,
                      size_t n_text, struct scree_error *err);

#endif
