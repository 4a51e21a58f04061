/* device/discover.h - which NPU the kernel has, found without opening it.
 *
 * The rocket driver binds one platform device a core ("fdab0000.npu") and shows all cores as one
 * accel device, whose parent is a device named "rknn" that no driver is bound to. So the accel
 * device is known by its parent, and the cores by the folder of the driver.
 *
 * This needs read access to /sys and nothing else: no device is opened, no library loaded.
 *
 * Source: drivers/accel/rocket/rocket_drv.c of Linux 6.18, rocket_register() and rocket_probe().
 * Memory: none. Threads: no state. */
#ifndef SCREE_DEVICE_DISCOVER_H
#define SCREE_DEVICE_DISCOVER_H

#include "device/tree.h"

/* Where the driver's cores are, and the accel devices. */
#define SCREE_NPU_DRIVER "/sys/bus/platform/drivers/rocket"
#define SCREE_NPU_CLASS  "/sys/class/accel"

#define SCREE_NPU_MAX_CORES 8

/* A core that the driver is bound to. */
struct scree_npu_core {
    char name[64];  /* "fdab0000.npu" */
    char state[16]; /* runtime power state: "active", "suspended", ...; "" if not told */
    bool has_iommu;
};

/* The NPU: all cores, and the accel device that they are behind. */
struct scree_npu {
    bool has_driver; /* the rocket driver is there: built in, or its module is loaded */
    uint32_t n_cores;
    struct scree_npu_core cores[SCREE_NPU_MAX_CORES];
    char node[64];         /* "/dev/accel/accel0"; "" if the driver has no accel device */
    uint32_t major, minor; /* of that device, by the kernel */
};

/* An accel device that is an NPU. */
struct scree_npu_node {
    char name[33];         /* "accel0" */
    char path[64];         /* "/dev/accel/accel0" */
    uint32_t major, minor; /* of that device, by the kernel; 0 if it does not tell */
};

#define SCREE_NPU_MAX_NODES 8

/* Finds the NPUs, sorted by name, of a machine that may have several: nodes[SCREE_NPU_MAX_NODES].
 * Returns how many. Which core belongs to which is not told; on an RK3588 all are behind one. */
uint32_t scree_npu_nodes(const struct scree_tree *tree, struct scree_npu_node *nodes);

/* Fills *ret_npu with what is there, the first NPU if there are several; all zero if there is
 * nothing. */
void scree_npu_discover(const struct scree_tree *tree, struct scree_npu *ret_npu);

/* The interrupts that each core has raised since the machine started, one a finished task, into
 * counts u64[npu->n_cores]. Returns 0, or -ENOENT if /proc/interrupts does not tell. */
int scree_npu_interrupts(const struct scree_tree *tree, const struct scree_npu *npu,
                         uint64_t *counts);

/* The same with the file read into room char[SCREE_NPU_INTERRUPTS_ROOM] of the caller's: for who
 * asks often. What is there is cut to that length. */
int scree_npu_interrupts_in(const struct scree_tree *tree, const struct scree_npu *npu, char *room,
                            uint64_t *counts);

/* Bytes of /proc/interrupts that are looked at: some hundred lines on machines of hundreds of
 * processors. */
#define SCREE_NPU_INTERRUPTS_ROOM ((size_t)1 << 18)

/* The clock that the device tree gives the NPU, in MHz; 0 if it tells none. */
uint32_t scree_npu_assigned_mhz(const struct scree_tree *tree);

#endif
