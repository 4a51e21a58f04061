#include "plugin/loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

#define NS_A_MS 1000000

int scree_loop_init(struct scree_loop *loop, struct scree_error *err)
{
    *loop = (struct scree_loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll < 0 ? scree_fail(err, EIO, "no epoll: error %d", errno) : 0;
}

void scree_loop_done(struct scree_loop *loop)
{
    if (loop->epoll >= 0)
        close(loop->epoll);
    loop->epoll = -1;
}

int scree_loop_add(struct scree_loop *loop, struct scree_source *source, uint32_t events,
                   struct scree_error *err)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    source->events = events;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0)
        return scree_fail(err, EIO, "a descriptor cannot be waited for: error %d", errno);
    return 0;
}

void scree_loop_change(struct scree_loop *loop, struct scree_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (source->events == events)
        return;
    source->events = events;
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event);
}

void scree_loop_close(struct scree_loop *loop, struct scree_source *source)
{
    if (source->fd < 0)
        return;
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    close(source->fd);
    source->fd = -1;
}

void scree_loop_add_timer(struct scree_loop *loop, struct scree_timer *timer)
{
    timer->next = loop->timers;
    loop->timers = timer;
}

/* Milliseconds until the next timer, rounded up; -1 without one. */
static int wait_ms(const struct scree_loop *loop)
{
    uint64_t first = UINT64_MAX, now = scree_now_ns();

    for (const struct scree_timer *timer = loop->timers; timer; timer = timer->next)
        if (timer->at_ns > 0 && timer->at_ns < first)
            first = timer->at_ns;
    if (first == UINT64_MAX)
        return -1;
    if (first <= now)
        return 0;
    first = (first - now + NS_A_MS - 1) / NS_A_MS;
    return first > INT32_MAX ? INT32_MAX : (int)first;
}

static void call_timers(struct scree_loop *loop)
{
    uint64_t now = scree_now_ns();

    for (struct scree_timer *timer = loop->timers; timer; timer = timer->next)
        if (timer->at_ns > 0 && timer->at_ns <= now) {
            timer->at_ns = 0;
            timer->due(timer->context);
        }
}

void scree_loop_run(struct scree_loop *loop)
{
    while (!loop->stopped) {
        struct epoll_event event;
        int n = epoll_wait(loop->epoll, &event, 1, wait_ms(loop));

        if (n > 0) {
            struct scree_source *source = event.data.ptr;

            source->ready(source->context, event.events);
        }
        call_timers(loop);
    }
}
