/* pause.c - what keeps the namespaces of a pod: waits, and buries the dead. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_signal(int number)
{
    if (number == SIGCHLD) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
    } else {
        _exit(0);
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    if (sigaction(SIGINT, &action, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0 ||
        sigaction(SIGCHLD, &action, NULL) < 0)
        return 1;
    for (;;)
        (void)pause();
}
