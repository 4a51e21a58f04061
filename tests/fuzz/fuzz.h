/* tests/fuzz/fuzz.h - the entry that each target defines, by libFuzzer's name for it.
 *
 * A target is one file, fuzz_NAME.c, a folder corpus/NAME and one line in meson.build; words that
 * its inputs are made of may be in NAME.dict. It is always built with replay.c, which runs it over
 * its corpus as an ordinary test; with -Dfuzz=true (clang) also as a fuzzer, fuzz_NAME. */
#ifndef SCREE_TESTS_FUZZ_H
#define SCREE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Tries bytes u8[n_bytes]; aborts on a finding. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

#endif
