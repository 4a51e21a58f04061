/* plugin/device_plugin.h - the front for v1beta1.DevicePlugin, by both ways to register.
 *
 * kubelet   a socket in the kubelet's folder, registered by calling its own (registrar.h)
 * watcher   a socket in plugins_registry, which the kubelet finds and asks what it is
 *
 * Never both at once: a kubelet that is told of a resource twice drops the first telling together
 * with its devices.
 *
 * Memory: embedded in its owner; scree_plugin_run() ends it. */
#ifndef SCREE_PLUGIN_DEVICE_PLUGIN_H
#define SCREE_PLUGIN_DEVICE_PLUGIN_H

#include "plugin/plugin.h"
#include "plugin/registrar.h"
#include "plugin/streams.h"

#define SCREE_DEVICE_METHODS 7

struct scree_device_plugin {
    struct scree_plugin *plugin;
    struct scree_service service;
    struct scree_unix_server server;
    struct scree_registrar registrar;
    struct scree_streams streams;
    struct scree_timer second; /* of the watcher's route */
    bool by_watcher, watcher_registered;
    char endpoint[80];
    /* Calls by method, and those that were refused. */
    uint64_t n_calls[SCREE_DEVICE_METHODS], n_refused[SCREE_DEVICE_METHODS];
};

/* Its functions; the state is a struct scree_device_plugin, all zero at first. */
extern const struct scree_front scree_device_plugin_front;

#endif
