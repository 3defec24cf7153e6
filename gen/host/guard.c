/* guard.c -- a call in a child process, under process limits. */
#include "gen/host/guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/buffer.h"

enum { ANSWER_LIMIT = 64 << 20 };

/* AddressSanitizer maps terabytes for itself. */
#if defined(__SANITIZE_ADDRESS__)
enum { LIMIT_ADDRESS_SPACE = 0 };
#else
enum { LIMIT_ADDRESS_SPACE = 1 };
#endif

/* Bytes of address space in use, or 0 where /proc does not say. */
static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void set_limits(const struct gen_guard *guard)
{
    struct rlimit cpu = {(rlim_t)guard->seconds, (rlim_t)guard->seconds + 1};
    struct rlimit core = {0, 0};
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGALRM, SIG_DFL);
    signal(SIGXCPU, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    setrlimit(RLIMIT_CORE, &core);
    setrlimit(RLIMIT_CPU, &cpu);
    alarm((unsigned)guard->seconds * 2);
    size_t used = LIMIT_ADDRESS_SPACE ? address_space() : 0;
    struct rlimit memory = {used + guard->memory, used + guard->memory};
    if (used)
        setrlimit(RLIMIT_AS, &memory);
}

static void write_all(int fd, const char *text, size_t size)
{
    while (size) {
        ssize_t wrote = write(fd, text, size);
        if (wrote < 0 && errno != EINTR)
            return;
        text += wrote > 0 ? wrote : 0;
        size -= wrote > 0 ? (size_t)wrote : 0;
    }
}

/* The child: {"result": ...} or {"code", "error"}. */
static void answer(const struct gen_guard *guard, int fd)
{
    struct tsr_error err = {0};
    json_t *result = NULL, *message;
    set_limits(guard);
    int rc = guard->call(guard->context, &result, &err);
    if (rc)
        message = json_pack("{s:i, s:s}", "code", rc, "error", err.text);
    else
        message = json_pack("{s:o}", "result", result);
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    if (text)
        write_all(fd, text, strlen(text));
    _exit(text ? 0 : 1);
}

static int read_all(int fd, struct tsr_buffer *buffer)
{
    char block[65536];
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got == 0)
            return 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || buffer->size + (size_t)got > ANSWER_LIMIT ||
            tsr__buffer_add(buffer, block, (size_t)got))
            return -1;
    }
}

static int explain(const struct gen_guard *guard, int status,
                   struct tsr_error *err)
{
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (number == SIGXCPU || number == SIGALRM || number == SIGKILL)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "a script was stopped after its %d seconds",
                        guard->seconds);
    if (number)
        return TSR_FAIL(err, TSR_EFORMAT, "the script evaluator died: %s",
                        strsignal(number));
    return TSR_FAIL(err, TSR_EMEMORY, "the script evaluator gave no answer");
}

static int unpack(const struct tsr_buffer *text, json_t **result,
                  struct tsr_error *err)
{
    const char *words;
    int code;
    json_t *message = json_loadb(text->data, text->size, 0, NULL);
    if (!message)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "the script evaluator's answer is damaged");
    json_t *inner = json_object_get(message, "result");
    if (inner) {
        *result = json_incref(inner);
        code = 0;
    } else if (json_unpack(message, "{s:i, s:s}", "code", &code, "error",
                           &words) == 0) {
        TSR_FAIL(err, code, "%s", words);
    } else {
        code = TSR_FAIL(err, TSR_EFORMAT,
                        "the script evaluator's answer is damaged");
    }
    json_decref(message);
    return code;
}

int gen_guard_run(const struct gen_guard *guard, json_t **result,
                  struct tsr_error *err)
{
    int pipes[2], status = 0, rc;
    struct tsr_buffer text = TSR_BUFFER_INIT;
    if (pipe(pipes) < 0)
        return TSR_FAIL(err, TSR_EIO, "cannot make a pipe: %s",
                        strerror(errno));
    pid_t child = fork();
    if (child < 0) {
        close(pipes[0]);
        close(pipes[1]);
        return TSR_FAIL(err, TSR_EIO, "cannot start the script evaluator: %s",
                        strerror(errno));
    }
    if (child == 0)
        answer(guard, pipes[1]);
    close(pipes[1]);
    int lost = read_all(pipes[0], &text);
    close(pipes[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) || lost || !text.size)
        rc = explain(guard, status, err);
    else
        rc = unpack(&text, result, err);
    tsr__buffer_release(&text);
    return rc;
}
