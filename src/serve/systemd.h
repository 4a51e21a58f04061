/* serve/systemd.h - what a server and systemd tell each other, without its library: readiness, the
 * watchdog, sockets that are there already.
 *
 * Outside of systemd all of it does nothing. Source: sd_notify(3), sd_listen_fds(3),
 * sd_watchdog_enabled(3).
 *
 * Memory: none. Threads: one at a time. */
#ifndef SCREE_SERVE_SYSTEMD_H
#define SCREE_SERVE_SYSTEMD_H

#include <stdbool.h>
#include <stdint.h>

/* Sends lines of "NAME=value" to the manager. */
void scree_systemd_notify(const char *lines);

/* How often the watchdog wants to hear of this process, in ms; 0: never. */
uint32_t scree_systemd_watchdog_ms(void);

/* The first socket that was handed over to this process to listen on, -1 if there is none. It is
 * set not to block and not to be passed on. */
int scree_systemd_listener(void);

#endif
