#include "serve/sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

/* Bits of clone() that make namespaces: CLONE_NEWNS, ...CGROUP, ...UTS, ...IPC, ...USER, ...PID,
 * ...NET. */
#define NAMESPACES 0x7e020000u

/* The calls, by number; those of x86-64 alone stand apart. */
static const int calls[] = {
    /* files, to read */
    SYS_openat,
    SYS_openat2,
    SYS_close,
    SYS_close_range,
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_preadv,
    SYS_lseek,
    SYS_getdents64,
    SYS_readlinkat,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_getcwd,
    SYS_flock,
    SYS_fcntl,
    SYS_inotify_init1,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    /* descriptors that are no files */
    SYS_write,
    SYS_writev,
    SYS_pwrite64,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_eventfd2,
    SYS_signalfd4,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_memfd_create,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_ppoll,
    SYS_pselect6,
    /* sockets; which, is looked at */
    SYS_socketpair,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_connect,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_shutdown,
    SYS_sendfile,
    /* memory */
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_msync,
    SYS_mincore,
    SYS_mlock,
    SYS_munlock,
    SYS_brk,
    SYS_membarrier,
    SYS_get_mempolicy,
    /* threads and the delegate's process */
    SYS_exit,
    SYS_exit_group,
    SYS_wait4,
    SYS_waitid,
    SYS_kill,
    SYS_tkill,
    SYS_tgkill,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    SYS_futex,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_restart_syscall,
    SYS_prctl,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_getcpu,
    SYS_setsid,
    SYS_setpgid,
    /* signals */
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_sigaltstack,
    /* time, and who one is */
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_uname,
    SYS_sysinfo,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getgroups,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getpgid,
    SYS_getrusage,
    SYS_times,
    SYS_prlimit64,
    SYS_getrlimit,
    SYS_capget,
#ifdef __x86_64__
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_poll,
    SYS_select,
    SYS_epoll_wait,
    SYS_dup2,
    SYS_pipe,
    SYS_eventfd,
    SYS_fork,
    SYS_vfork,
    SYS_time,
    SYS_arch_prctl,
    SYS_inotify_init,
#endif
};

#define N_CALLS (sizeof calls / sizeof calls[0])

/* A program that is being put together. */
struct program {
    struct sock_filter steps[2 * N_CALLS + 64];
    unsigned short n;
};

static void add(struct program *program, struct sock_filter step)
{
    program->steps[program->n++] = step;
}

static void load(struct program *program, size_t offset)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *program, uint32_t action)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Answers with `action` if what was loaded is `value`. */
static void answer_if(struct program *program, uint32_t value, uint32_t action)
{
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    answer(program, action);
}

/* The low half of argument i; both architectures are little-endian. */
static size_t argument(int i)
{
    return offsetof(struct seccomp_data, args) + 8 * (size_t)i;
}

/* Goes on with the steps until end_call() only for call `number`. Returns where it jumps. */
static unsigned short begin_call(struct program *program, int number)
{
    load(program, offsetof(struct seccomp_data, nr));
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0));
    return (unsigned short)(program->n - 1);
}

/* What none of the steps has answered fails. */
static void end_call(struct program *program, unsigned short jump)
{
    answer(program, SECCOMP_RET_ERRNO | EPERM);
    program->steps[jump].jf = (uint8_t)(program->n - jump - 1);
}

/* Sockets of this machine and of the internet. */
static void add_socket(struct program *program)
{
    static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6};
    unsigned short jump = begin_call(program, SYS_socket);

    load(program, argument(0));
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        answer_if(program, families[i], SECCOMP_RET_ALLOW);
    end_call(program, jump);
}

/* Those of the NPU and its buffers by their letter, and few of files; none that types into a
 * terminal. */
static void add_ioctl(struct program *program)
{
    static const uint32_t single[] = {0x5401 /* TCGETS */, 0x541b /* FIONREAD */,
                                      0x5421 /* FIONBIO */, 0x5451 /* FIOCLEX */};
    unsigned short jump = begin_call(program, SYS_ioctl);

    load(program, argument(1));
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        answer_if(program, single[i], SECCOMP_RET_ALLOW);
    add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00));
    answer_if(program, 'd' << 8, SECCOMP_RET_ALLOW); /* DRM */
    answer_if(program, 'b' << 8, SECCOMP_RET_ALLOW); /* DMA buffers */
    end_call(program, jump);
}

/* Threads and processes, without namespaces. What clone3() is asked for cannot be seen; the C
 * library takes clone() where that is not there. */
static void add_clone(struct program *program)
{
    unsigned short jump = begin_call(program, SYS_clone);

    load(program, argument(0));
    add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, NAMESPACES));
    answer_if(program, 0, SECCOMP_RET_ALLOW);
    end_call(program, jump);
    load(program, offsetof(struct seccomp_data, nr));
    answer_if(program, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
}

static void add_all(struct program *program, bool may_unlink)
{
    load(program, offsetof(struct seccomp_data, arch));
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    answer(program, SECCOMP_RET_KILL_PROCESS);
    add_socket(program);
    add_ioctl(program);
    add_clone(program);
    load(program, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < N_CALLS; i++)
        answer_if(program, (uint32_t)calls[i], SECCOMP_RET_ALLOW);
    if (may_unlink) {
        answer_if(program, SYS_unlinkat, SECCOMP_RET_ALLOW);
#ifdef __x86_64__
        answer_if(program, SYS_unlink, SECCOMP_RET_ALLOW);
#endif
    }
    answer(program, SECCOMP_RET_ERRNO | EPERM);
}

int scree_sandbox_enter(bool may_unlink, struct scree_error *err)
{
    struct program program = {.n = 0};
    struct sock_fprog filter = {.filter = program.steps};

    add_all(&program, may_unlink);
    filter.len = program.n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return scree_fail(err, ENOTSUP, "no_new_privs: %s", strerror(errno));
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0)
        return scree_fail(err, ENOTSUP, "seccomp: %s", strerror(errno));
    return 0;
}
