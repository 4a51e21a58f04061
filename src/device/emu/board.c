#include "device/emu/board.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_TREE "/sys/firmware/devicetree/base"

static const char *const cores[] = {"fdab0000", "fdac0000", "fdad0000"};

struct board {
    const char *root;
    struct scree_error *err;
    int rc;
};

/* Makes the folders above ROOT/path, and gives its name. */
static bool prepare(struct board *board, const char *path, char *name, size_t n)
{
    size_t n_root = strlen(board->root);

    if (board->rc < 0)
        return false;
    if ((size_t)snprintf(name, n, "%s%s", board->root, path) >= n) {
        board->rc = scree_fail(board->err, EIO, "%s: too long", board->root);
        return false;
    }
    for (char *at = name + n_root + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        if (mkdir(name, 0777) < 0 && errno != EEXIST)
            board->rc = scree_fail(board->err, EIO, "%s: %s", name, strerror(errno));
    }
    return board->rc == 0;
}

static void put_bytes(struct board *board, const char *path, const void *bytes, size_t n)
{
    char name[4096];
    int fd;

    if (!prepare(board, path, name, sizeof name))
        return;
    fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        board->rc = scree_fail(board->err, EIO, "%s: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static void put(struct board *board, const char *path, const char *text)
{
    put_bytes(board, path, text, strlen(text));
}

static void put_link(struct board *board, const char *path, const char *target)
{
    char name[4096];

    if (prepare(board, path, name, sizeof name) && symlink(target, name) < 0)
        board->rc = scree_fail(board->err, EIO, "%s: %s", name, strerror(errno));
}

/* The files of one core, by its address as text. */
static void put_core(struct board *board, const char *core, int index, unsigned mhz)
{
    static const char compatible[] = "rockchip,rk3588-rknn-core";
    /* The mainline device tree asks for 200 MHz, of which the divider makes 198. */
    uint32_t hz = mhz == 198 ? 200000000 : mhz * 1000000;
    uint8_t rate[4] = {(uint8_t)(hz >> 24), (uint8_t)(hz >> 16), (uint8_t)(hz >> 8), (uint8_t)hz};
    char path[128], target[128];

    (void)snprintf(path, sizeof path, DEVICE_TREE "/npu@%s/compatible", core);
    put_bytes(board, path, compatible, sizeof compatible);
    (void)snprintf(path, sizeof path, DEVICE_TREE "/npu@%s/status", core);
    put_bytes(board, path, "okay", 5);
    (void)snprintf(path, sizeof path, DEVICE_TREE "/npu@%s/assigned-clock-rates", core);
    put_bytes(board, path, rate, sizeof rate);
    (void)snprintf(path, sizeof path, "/sys/bus/platform/devices/%s.npu/power/runtime_status",
                   core);
    put(board, path, "suspended\n");
    (void)snprintf(path, sizeof path, "/sys/bus/platform/devices/%s.npu/iommu_group", core);
    (void)snprintf(target, sizeof target, "../../../kernel/iommu_groups/%d", 3 + index);
    put_link(board, path, target);
    (void)snprintf(path, sizeof path, "/sys/bus/platform/drivers/rocket/%s.npu", core);
    (void)snprintf(target, sizeof target, "../../../../devices/platform/%s.npu", core);
    put_link(board, path, target);
}

static void put_node(struct board *board)
{
    static const char uevent[] = "MAJOR=261\nMINOR=0\nDEVNAME=accel/accel0\nDEVTYPE=accel_minor\n";

    put(board, "/sys/class/accel/accel0/dev", "261:0\n");
    put(board, "/sys/class/accel/accel0/uevent", uevent);
    put_link(board, "/sys/class/accel/accel0/device", "../../../rknn");
    put(board, "/sys/dev/char/261:0/uevent", uevent);
    put(board, "/sys/dev/char/261:0/device/uevent", "DRIVER=rknn\nMODALIAS=platform:rknn\n");
    put(board, "/sys/module/rocket/initstate", "live\n");
    put(board, "/dev/accel/accel0", "");
}

static void put_machine(struct board *board, const struct scree_emu_options *options)
{
    static const char model[] = "Radxa ROCK 5B (software NPU)";
    static const char compatible[] = "radxa,rock-5b\0rockchip,rk3588";

    put_bytes(board, DEVICE_TREE "/model", model, sizeof model);
    put_bytes(board, DEVICE_TREE "/compatible", compatible, sizeof compatible);
    put(board, "/proc/sys/kernel/osrelease",
        options->linux_6_18 ? "6.18.5-scree-emu\n" : "7.2.8-scree-emu\n");
    put(board, "/sys/class/regulator/regulator.12/name", "vdd_npu_s0\n");
    put(board, "/sys/class/regulator/regulator.12/state", "enabled\n");
    put(board, "/sys/class/regulator/regulator.12/microvolts", "850000\n");
    put(board, "/sys/class/thermal/thermal_zone6/type", "npu-thermal\n");
    put(board, "/sys/class/thermal/thermal_zone6/temp", "40000\n");
}

int scree_emu_board_make(const char *root, const struct scree_emu_options *options,
                         struct scree_error *err)
{
    struct board board = {.root = root, .err = err};

    put_machine(&board, options);
    put_node(&board);
    for (int i = 0; i < options->n_cores; i++)
        put_core(&board, cores[i], i, options->clock_mhz);
    return board.rc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    return remove(path);
}

void scree_emu_board_remove(const char *root)
{
    (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
