/* fake_kubelet.h - the kubelet's side of v1beta1, and the program under test.
 *
 * A struct fake_kubelet is a folder of its own with what a node has: device-plugins/,
 * plugins_registry/, cdi/, machine.txt (the kernel's files, see device/tree.h); the kubelet's
 * socket; and the plugin, a process. fake_run() lets both live until something is so, or a time is
 * over. */
#ifndef SCREE_TESTS_PLUGIN_FAKE_KUBELET_H
#define SCREE_TESTS_PLUGIN_FAKE_KUBELET_H

#include <sys/types.h>

#include "net/pb.h"
#include "plugin/server.h"

#define FAKE_DEVICES 32
#define FAKE_DIR     96  /* the longest path of the folder's places */
#define FAKE_PATH    256 /* of anything in them */

struct fake_device {
    char id[64];
    bool healthy;
};

/* A call of a method of the plugin's, its answer or its last message. */
struct fake_call {
    struct scree_peer *peer;
    struct scree_grpc_call *call;
    bool done;
    enum scree_grpc_status status;
    char text[128];
    struct scree_buffer reply;
    uint32_t n_messages;
};

/* What the kubelet was told by Register. */
struct fake_registration {
    uint32_t n; /* how often */
    char version[16], endpoint[128], resource[128];
    bool preferred;     /* get_preferred_allocation_available, in the request */
    bool options_told;  /* GetDevicePluginOptions was answered within Register */
    bool cdi_was_there; /* the specification stood at that time */
    uint64_t at_ns;
};

struct fake_kubelet {
    char dir[40], plugins[FAKE_DIR], registry[FAKE_DIR], cdi[FAKE_DIR], machine[FAKE_DIR];
    char http[FAKE_DIR], log[FAKE_DIR];
    pid_t plugin;
    const char *faults; /* of the software NPU that the plugin runs on; NULL without that */
    const char *clock;  /* file with the seconds by which its clock is wrong; see adversity.c */
    const char *chop;   /* bytes that it may pass on at once */
    bool no_inotify;    /* for it */
    struct scree_loop loop;
    struct scree_service service;
    struct scree_unix_server server;
    enum { FAKE_ACCEPTS, FAKE_REFUSES, FAKE_IS_SILENT } mood;
    struct fake_registration registration;
    struct fake_call watch; /* ListAndWatch */
    uint32_t n_devices;
    struct fake_device devices[FAKE_DEVICES];
};

/* A machine with NPUs accel0.. as text: n_npus, bound to n_cores; 0 NPUs for a driver unloaded.
 * first: number of the first accel device. open_error: "EIO" or "". */
void fake_machine(struct fake_kubelet *fake, uint32_t n_npus, uint32_t n_cores, uint32_t first,
                  const char *open_error);

/* Makes the folder with a machine of one NPU of three cores. */
void fake_start(struct fake_kubelet *fake);

/* Ends the plugin, which must end by itself and with status 0, and removes the folder. */
void fake_end(struct fake_kubelet *fake);

/* Starts the program with the folder's places and the arguments up to NULL. */
void fake_start_plugin(struct fake_kubelet *fake, const char *const *arguments);

/* Sends SIGTERM and waits; returns the exit status. */
int fake_stop_plugin(struct fake_kubelet *fake);

/* The kubelet begins: deletes the sockets in its folder and makes its own. And ends. */
void fake_kubelet_begin(struct fake_kubelet *fake);
void fake_kubelet_end(struct fake_kubelet *fake);

/* Lives for at most ms, until `is_so` says so; returns whether it did. NULL: for all that time. */
bool fake_run(struct fake_kubelet *fake, bool (*is_so)(struct fake_kubelet *fake), uint32_t ms);

/* Connects to a socket of the plugin's. Returns the descriptor. */
int fake_connect(struct fake_kubelet *fake, const char *path);

/* Connects to a socket and begins a call with a request u8[n], with the half of it closed. */
void fake_call_begin(struct fake_kubelet *fake, struct fake_call *call, const char *socket,
                     const char *method, const void *request, size_t n);
void fake_call_end(struct fake_call *call);

/* The same, and waits for the answer, 5 s at most. Returns its status. */
enum scree_grpc_status fake_call(struct fake_kubelet *fake, struct fake_call *call,
                                 const char *socket, const char *method, const void *request,
                                 size_t n);

/* Opens ListAndWatch on the socket, whose lists go to `devices`. */
void fake_watch(struct fake_kubelet *fake, const char *socket);

/* How many of the devices are healthy. */
uint32_t fake_n_healthy(const struct fake_kubelet *fake);

/* The socket of the plugin's endpoint. */
const char *fake_endpoint(const struct fake_kubelet *fake, char *path);

/* GET path from the plugin's unix socket; the whole answer into text[n]. */
void fake_get(struct fake_kubelet *fake, const char *path, char *text, size_t n);

/* The value of the metric line that begins with `name`, or -1. */
double fake_metric(struct fake_kubelet *fake, const char *name);

/* The log so far into text[n]. */
void fake_log(const struct fake_kubelet *fake, char *text, size_t n);

#endif
