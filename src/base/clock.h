/* base/clock.h - the time: of day, for people who read logs, and since some start, for deadlines.
 *
 * Memory: none. Threads: any. */
#ifndef SCREE_BASE_CLOCK_H
#define SCREE_BASE_CLOCK_H

#include <stdint.h>

/* Room for a time of day as text. */
#define SCREE_CLOCK_BYTES 32

/* The time of day in text char[SCREE_CLOCK_BYTES], as "2026-01-02T03:04:05.678Z". Source: RFC 3339.
 */
void scree_clock_text(char *text);

/* Nanoseconds of CLOCK_MONOTONIC, which nobody sets. */
uint64_t scree_now_ns(void);

/* The time since *since_ns, which becomes now. */
uint64_t scree_lap_ns(uint64_t *since_ns);

#endif
