/* command.c -- what every `tessera` command shares. */
#include "autotune/commands/command.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct option_spec *find_option(const struct option_spec *options,
                                             const char *name, size_t size)
{
    for (; options->name; options++)
        if (strlen(options->name) == size &&
            strncmp(options->name, name, size) == 0)
            return options;
    return NULL;
}

static void print_help(const struct command *command, const char *summary)
{
    printf("usage: tessera %s\n\n%s\n\noptions:\n", command->usage, summary);
    for (const struct option_spec *o = command->options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->metavar ? " " : "",
                 o->metavar ? o->metavar : "");
        printf("  %-26s %s\n", left, o->help);
    }
}

/* Takes the option at argv[*at], with its value, which may be the next word. */
static int take_option(struct command *command, int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    if (strcmp(word, "-o") == 0)
        word = "--output";
    const char *name = word + 2;
    size_t size = strcspn(name, "=");
    const struct option_spec *option =
        find_option(command->options, name, size);
    if (strncmp(word, "--", 2) != 0 || !option)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "unknown option '%s'; see 'tessera %s --help'",
                        argv[*at], command->name);
    const char *value = "";
    if (name[size] == '=') {
        if (!option->metavar)
            return TSR_FAIL(&command->err, TSR_EUSAGE,
                            "option --%s takes no value", option->name);
        value = name + size + 1;
    } else if (option->metavar) {
        if (*at + 1 >= argc)
            return TSR_FAIL(&command->err, TSR_EUSAGE, "option --%s needs %s",
                            option->name, option->metavar);
        value = argv[++*at];
    }
    command->given[2 * command->given_count] = option->name;
    command->given[2 * command->given_count + 1] = value;
    command->given_count++;
    return 0;
}

int command_begin(struct command *command, int argc, char **argv,
                  const struct option_spec *options, const char *usage,
                  const char *summary)
{
    memset(command, 0, sizeof *command);
    command->name = argv[0];
    command->options = options;
    command->usage = usage;
    command->given = calloc((size_t)argc * 2 + 2, sizeof *command->given);
    command->words = calloc((size_t)argc + 1, sizeof *command->words);
    if (!command->given || !command->words)
        return command_end(
            command, TSR_FAIL(&command->err, TSR_EMEMORY, "out of memory"));
    /* Errors are JSON as soon as --json stands anywhere. */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        command->json |= strcmp(argv[i], "--json") == 0;
    int only_words = 0;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--help") == 0) {
            print_help(command, summary);
            return command_end(command, 0);
        }
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = 1;
        else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            int rc = take_option(command, argc, argv, &i);
            if (rc)
                return command_end(command, rc);
        } else
            command->words[command->word_count++] = argv[i];
    }
    return -1;
}

const char *command_option_at(const struct command *command, const char *name,
                              int index)
{
    for (int i = 0; i < command->given_count; i++)
        if (strcmp(command->given[2 * i], name) == 0 && index-- == 0)
            return command->given[2 * i + 1];
    return NULL;
}

const char *command_option(const struct command *command, const char *name)
{
    for (int i = command->given_count - 1; i >= 0; i--)
        if (strcmp(command->given[2 * i], name) == 0)
            return command->given[2 * i + 1];
    return NULL;
}

int command_integer(struct command *command, const char *name, long long low,
                    long long high, long long *value)
{
    const char *text = command_option(command, name);
    if (!text)
        return 0;
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno || end == text || *end || parsed < low || parsed > high)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "--%s %s: a whole number from %lld to %lld is needed",
                        name, text, low, high);
    *value = parsed;
    return 0;
}

int command_require(struct command *command, const char *name,
                    const char **value)
{
    const char *given = command_option(command, name);
    if (!given || !*given)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "--%s is needed; usage: tessera %s", name,
                        command->usage);
    *value = given;
    return 0;
}

void command_print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER |
                                        JSON_REAL_PRECISION(9));
    json_decref(object);
    puts(text ? text : "{\"error\":\"out of memory\"}");
    fflush(stdout);
    free(text);
}

json_t *command_json_real(double value)
{
    if (isnan(value))
        return json_string("nan");
    if (isinf(value))
        return json_string(value < 0 ? "-inf" : "inf");
    return json_real(value);
}

int command_end(struct command *command, int rc)
{
    if (rc && command->json) {
        json_t *object = json_pack("{s:s}", "error", command->err.text);
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        fprintf(stderr, "%s\n", text ? text : "{\"error\":\"failed\"}");
        free(text);
        json_decref(object);
    } else if (rc)
        fprintf(stderr, "tessera %s: %s\n", command->name, command->err.text);
    free(command->given);
    free(command->words);
    command->given = NULL;
    command->words = NULL;
    if (rc == 0 && fflush(stdout) != 0) {
        fprintf(stderr, "tessera %s: cannot write the output: %s\n",
                command->name, strerror(errno));
        return 1;
    }
    return rc == 0 ? 0 : rc == TSR_EUSAGE ? 2 : 1;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double command_wall_seconds(void)
{
    return seconds(CLOCK_MONOTONIC);
}

double command_cpu_seconds(void)
{
    return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

void progress_begin(struct progress *progress, const char *label)
{
    memset(progress, 0, sizeof *progress);
    progress->label = label;
    progress->started = command_wall_seconds();
    progress->enabled = isatty(STDERR_FILENO);
}

void progress_update(struct progress *progress, size_t done, size_t total)
{
    double now = command_wall_seconds();
    double spent = now - progress->started;
    if (!progress->enabled || spent < 2 || now - progress->drawn < 0.1)
        return;
    char bar[31];
    size_t filled = total ? done * 30 / total : 0;
    for (size_t i = 0; i < 30; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[30] = 0;
    double left = done ? spent * (double)(total - done) / (double)done : 0;
    fprintf(stderr, "\r%s [%s] %zu/%zu, %.0f s left \033[K", progress->label,
            bar, done, total, left);
    fflush(stderr);
    progress->drawn = now;
    progress->visible = 1;
}

void progress_end(struct progress *progress)
{
    if (progress->visible)
        fprintf(stderr, "\r\033[K");
    progress->visible = 0;
}
