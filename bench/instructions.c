/* A plugin for qemu-aarch64 (TCG plugins, interface version 1): counts the instructions that a
 * program executes, by what they do. Prints, at the end, one line "NAME COUNT" a class to stderr.
 *
 *     cc -shared -fPIC -O2 bench/instructions.c -o instructions.so
 *     qemu-aarch64 -plugin ./instructions.so PROGRAM
 *
 * The declarations stand for qemu-plugin.h, which Debian does not package. Source: QEMU,
 * docs/devel/tcg-plugins.rst; encodings: Arm ARM, C4.1. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef void qemu_plugin_vcpu_tb_trans_cb_t(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void qemu_plugin_udata_cb_t(qemu_plugin_id_t id, void *arg);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t *cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t *cb, void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter,
                                              uint64_t n);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

extern int qemu_plugin_version;
int qemu_plugin_version = 1;

#define ADD_U64 0 /* enum qemu_plugin_op */

/* The first class whose bits match counts. */
static struct {
    const char *name;
    uint32_t mask, bits;
    uint64_t n;
} classes[] = {
    {"dot", 0x9fe0fc00, 0x0e809400, 0},         /* SDOT, UDOT by vector, either half */
    {"dot_element", 0x9f00f400, 0x0f00e000, 0}, /* SDOT, UDOT, USDOT by element */
    {"matrix", 0xdfe0f400, 0x4e80a400, 0},      /* SMMLA, UMMLA, USMMLA */
    {"simd", 0x0e000000, 0x0e000000, 0},        /* all other SIMD and floating point */
    {"load", 0x0a400000, 0x08400000, 0},        {"store", 0x0a400000, 0x08000000, 0},
    {"branch", 0x1c000000, 0x14000000, 0},      {"other", 0, 0, 0},
};

#define N_CLASSES (sizeof classes / sizeof classes[0])

static size_t class_of(uint32_t code)
{
    size_t i = 0;

    while ((code & classes[i].mask) != classes[i].bits)
        i++;
    return i;
}

static void count_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint64_t n[N_CLASSES] = {0};

    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        const uint8_t *bytes = qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i));

        n[class_of(bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                   (uint32_t)bytes[3] << 24)]++;
    }
    for (size_t i = 0; i < N_CLASSES; i++)
        if (n[i] > 0)
            qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &classes[i].n, n[i]);
}

static void print_counts(qemu_plugin_id_t id, void *arg)
{
    (void)id;
    (void)arg;
    for (size_t i = 0; i < N_CLASSES; i++)
        fprintf(stderr, "%s %" PRIu64 "\n", classes[i].name, classes[i].n);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, count_block);
    qemu_plugin_register_atexit_cb(id, print_counts, NULL);
    return 0;
}
