/* Runs a fuzz target over files and folders of inputs: replay_NAME [--flips N] CORPUS...
 *
 * Each input is given in memory of exactly its size, and also cut short at a few places, so that a
 * read beyond the end is seen under a sanitizer; with --flips also N times with one bit flipped,
 * the same bits every time. An empty corpus is a failure. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fuzz/fuzz.h"

static void run_bytes(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        abort();
    if (n > 0)
        memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

/* Steele, Lea and Flood's SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void run_flipped(const uint8_t *bytes, size_t n, long n_flips)
{
    uint64_t state = n;
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        abort();
    for (long i = 0; n > 0 && i < n_flips; i++) {
        uint64_t bit = next_random(&state) % (8 * n);

        memcpy(copy, bytes, n);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        LLVMFuzzerTestOneInput(copy, n);
    }
    free(copy);
}

static int run_file(const char *path, long n_flips)
{
    struct scree_mapped mapped;
    struct scree_error err;

    if (scree_mapped_open(path, &mapped, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    run_bytes(mapped.bytes, mapped.n_bytes);
    for (unsigned eighth = 0; eighth < 8; eighth++)
        run_bytes(mapped.bytes, mapped.n_bytes * eighth / 8);
    run_flipped(mapped.bytes, mapped.n_bytes, n_flips);
    scree_mapped_done(&mapped);
    return 1;
}

static int run_folder(const char *path, long n_flips)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char child[4096];
    int n = 0;

    if (!folder) {
        perror(path);
        return -1;
    }
    while (n >= 0 && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        n = run_file(child, n_flips) < 0 ? -1 : n + 1;
    }
    closedir(folder);
    return n;
}

int main(int argc, char **argv)
{
    long n_flips = 0;
    int n = 0, first = 1;

    if (argc > 2 && strcmp(argv[1], "--flips") == 0) {
        n_flips = strtol(argv[2], NULL, 10);
        first = 3;
    }
    for (int i = first; i < argc; i++) {
        struct stat st;
        int ran = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? run_folder(argv[i], n_flips)
                                                                 : run_file(argv[i], n_flips);

        if (ran < 0)
            return 1;
        n += ran;
    }
    printf("%d inputs\n", n);
    return n > 0 ? 0 : 1;
}
