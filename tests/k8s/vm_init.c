/* vm_init.c - the first program of a virtual machine whose root is the host's over 9p: loads the
 * modules listed in /modules, lays a tmpfs over the root so that nothing is written to it, and goes
 * on with the script that the kernel's command line names as `script=PATH`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void require(const char *what, long rc)
{
    if (rc >= 0)
        return;
    (void)fprintf(stderr, "vm_init: %s: %s\n", what, strerror(errno));
    (void)reboot(RB_POWER_OFF);
    _exit(1);
}

static void load_modules(void)
{
    char name[256];
    FILE *list = fopen("/modules", "re");
    int fd;

    require("/modules", list ? 0 : -1);
    while (fscanf(list, "%255s", name) == 1) {
        fd = open(name, O_RDONLY | O_CLOEXEC);
        require(name, fd);
        require(name, syscall(SYS_finit_module, fd, "", 0));
        (void)close(fd);
    }
    (void)fclose(list);
}

static void mount_on(const char *source, const char *target, const char *type, unsigned long flags,
                     const char *options)
{
    if (mkdir(target, 0755) < 0 && errno != EEXIST)
        require(target, -1);
    require(target, mount(source, target, type, flags, options));
}

static void mount_root(void)
{
    mount_on("root", "/host", "9p", MS_RDONLY,
             "trans=virtio,version=9p2000.L,msize=512000,cache=loose");
    mount_on("tmpfs", "/new", "tmpfs", 0, "mode=755");
    require("upper", mkdir("/new/upper", 0755));
    require("work", mkdir("/new/work", 0755));
    mount_on("overlay", "/root", "overlay", 0,
             "lowerdir=/host,upperdir=/new/upper,workdir=/new/work");
    mount_on("proc", "/root/proc", "proc", 0, NULL);
    mount_on("sysfs", "/root/sys", "sysfs", 0, NULL);
    mount_on("devtmpfs", "/root/dev", "devtmpfs", 0, NULL);
}

int main(void)
{
    char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/run",
        "LANG=C.UTF-8", NULL};
    const char *script = getenv("script");
    char *const arguments[] = {"sh", script ? strdup(script) : NULL, NULL};

    if (!arguments[1]) {
        errno = EINVAL;
        require("script=", -1);
    }
    load_modules();
    mount_root();
    require("chdir", chdir("/root"));
    require("move", mount(".", "/", NULL, MS_MOVE, NULL));
    require("chroot", chroot("."));
    require("chdir", chdir("/"));
    require("sh", execve("/bin/sh", arguments, environment));
}
