#include "serve/reload.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Changes come in swarms: the folder is looked at when there was none for so long. */
#define QUIET_MS   100
#define MAX_DELAYS 20 /* but not later than after so many times of that */
#define LEVELS     2  /* FOLDER/NAME/VERSION */

#define EVENTS                                                                               \
    (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | \
     IN_ONLYDIR)

struct scree_reload {
    struct scree_repository *repository;
    struct scree_log *log;
    char *folder; /* NULL: not watched */
    int wake, changes;
    atomic_bool stopping;
    bool has_thread, has_complained;
    pthread_t thread;
};

/* ---- watching ---- */

static void complain(struct scree_reload *reload, const char *path)
{
    char text[PATH_MAX + 128];

    if (reload->has_complained)
        return;
    reload->has_complained = true;
    (void)snprintf(text, sizeof text, "%s cannot be watched for changes (%s): use SIGHUP", path,
                   strerror(errno));
    scree_log(reload->log, SCREE_LOG_WARNING, text, NULL);
}

static bool watch(struct scree_reload *reload, const char *path)
{
    if (inotify_add_watch(reload->changes, path, EVENTS) >= 0)
        return true;
    if (errno != ENOTDIR && errno != ENOENT)
        complain(reload, path);
    return false;
}

/* Watches a folder and those in it; again is no harm. Links lead out of the folder or round in it,
 * and are followed one level only, as the levels are counted. */
static void watch_all(struct scree_reload *reload, const char *path, int levels)
{
    char inner[PATH_MAX];
    const struct dirent *at;
    DIR *dir;

    if (!watch(reload, path) || levels == 0)
        return;
    dir = opendir(path);
    while (dir && (at = readdir(dir))) {
        int n = snprintf(inner, sizeof inner, "%s/%s", path, at->d_name);

        if (at->d_name[0] != '.' && n > 0 && (size_t)n < sizeof inner &&
            (at->d_type == DT_DIR || at->d_type == DT_LNK || at->d_type == DT_UNKNOWN))
            watch_all(reload, inner, levels - 1);
    }
    if (dir)
        closedir(dir);
}

/* ---- the thread ---- */

/* Waits for something to happen for ms (-1: for ever), and takes note of it. */
static bool wait_for_news(struct scree_reload *reload, int ms)
{
    struct pollfd fds[] = {{.fd = reload->wake, .events = POLLIN},
                           {.fd = reload->changes, .events = POLLIN}};
    char events[4096];

    if (poll(fds, 2, ms) <= 0)
        return false;
    for (int i = 0; i < 2; i++)
        if (fds[i].revents)
            while (read(fds[i].fd, events, sizeof events) > 0)
                ;
    return true;
}

static void look(struct scree_reload *reload)
{
    struct scree_error err;

    /* Watched first: what changes while it is looked at is seen in the next round. */
    if (reload->folder)
        watch_all(reload, reload->folder, LEVELS);
    if (scree_repository_scan(reload->repository, &err) < 0)
        scree_log(reload->log, SCREE_LOG_ERROR, err.text, NULL);
}

static void *run(void *arg)
{
    struct scree_reload *reload = arg;

    /* Once more than at the start: what changed before it was watched. */
    if (reload->folder)
        look(reload);
    while (!atomic_load(&reload->stopping)) {
        if (!wait_for_news(reload, -1))
            continue;
        for (int i = 0; i < MAX_DELAYS && wait_for_news(reload, QUIET_MS); i++)
            ;
        if (!atomic_load(&reload->stopping))
            look(reload);
    }
    return NULL;
}

int scree_reload_new(struct scree_repository *repository, const char *folder, struct scree_log *log,
                     struct scree_reload **ret_reload, struct scree_error *err)
{
    struct scree_reload *reload = calloc(1, sizeof *reload);

    if (!reload)
        return scree_fail_memory(err, sizeof *reload);
    *reload = (struct scree_reload){.repository = repository, .log = log};
    reload->folder = folder ? strdup(folder) : NULL;
    reload->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    reload->changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (reload->changes < 0 && reload->folder)
        complain(reload, folder); /* poll() leaves a negative descriptor out */
    reload->has_thread = (reload->folder || !folder) && reload->wake >= 0 &&
                         pthread_create(&reload->thread, NULL, run, reload) == 0;
    if (!reload->has_thread) {
        scree_reload_free(reload);
        return scree_fail(err, EIO, "no thread can be started to load models");
    }
    *ret_reload = reload;
    return 0;
}

void scree_reload_now(struct scree_reload *reload)
{
    const uint64_t one = 1;

    (void)!write(reload->wake, &one, sizeof one);
}

void scree_reload_free(struct scree_reload *reload)
{
    if (!reload)
        return;
    atomic_store(&reload->stopping, true);
    if (reload->has_thread) {
        scree_reload_now(reload);
        pthread_join(reload->thread, NULL);
    }
    if (reload->wake >= 0)
        (void)close(reload->wake);
    if (reload->changes >= 0)
        (void)close(reload->changes);
    free(reload->folder);
    free(reload);
}
