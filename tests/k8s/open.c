/* open.c - says whether a container may use a device: `open PATH`, or `open PATH MAJOR MINOR` which
 * makes the node first. Then it waits to be ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int fd;

    if (argc != 2 && argc != 4)
        return 2;
    if (argc == 4 && mknod(argv[1], S_IFCHR | 0666,
                           makedev((unsigned)strtoul(argv[2], NULL, 10),
                                   (unsigned)strtoul(argv[3], NULL, 10))) < 0) {
        (void)printf("mknod: %s\n", strerror(errno));
    } else {
        fd = open(argv[1], O_RDWR | O_CLOEXEC);
        (void)printf("open as user %u: %s\n", (unsigned)getuid(), fd < 0 ? strerror(errno) : "yes");
    }
    (void)fflush(stdout);
    return pause();
}
