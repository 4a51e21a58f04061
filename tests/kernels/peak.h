/* peak.h - how many multiply-accumulates a second this processor does when nothing else is in the
 * way: instructions on registers alone, none of which waits for another. What a kernel reaches of
 * that is measured in the same run, so a machine that is slow today is slow for both. */
#ifndef PEAK_H
#define PEAK_H

#include <stdbool.h>
#include <stdint.h>

/* Multiply-accumulates a second of the best instruction for the highest of the SCREE_CPU_* flags:
 * of 8-bit integers (AVX2 without VNNI: of 16 bits), or of float32 if is_float. Measured at the
 * first call, about 20 ms, then remembered. 0 if there is no such instruction for `cpu`. */
double peak_macs(uint32_t cpu, bool is_float);

#endif
