/* serve/sandbox.h - what the server can do no more once it has begun.
 *
 * A filter of the kernel (seccomp) leaves it those system calls that it, its libraries and a
 * delegate need: files are read, sockets served, memory mapped, threads and the delegate's process
 * started, the NPU's device driven. What is not on the list fails with EPERM: programs are not
 * started, files not written, renamed or removed, other processes not looked into, nothing mounted
 * or loaded into the kernel, no namespaces made, no sockets of other kinds. What it starts cannot
 * gain privileges either.
 *
 * Source: seccomp(2); the list began as systemd's @system-service and lost what is not used.
 * Memory: none. Threads: all of the process are bound by it, and all that come. */
#ifndef SCREE_SERVE_SANDBOX_H
#define SCREE_SERVE_SANDBOX_H

#include "base/error.h"

/* Enters it, for good. With may_unlink names can be taken away, as that of a local socket is at the
 * end. Errors: ENOTSUP (this kernel, or another sandbox around, has no filters). */
int scree_sandbox_enter(bool may_unlink, struct scree_error *err);

#endif
