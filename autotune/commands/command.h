/* command.h -- what every `tessera` command shares: options, JSON lines,
** errors, progress.
**
** A command is one function in one file of this folder and one line in
** main.c's table. It declares its options, so --help, parsing and the error
** for a misspelt option come from the same list:
**
**     static const struct option_spec options[] = {
**         {"model", "DIR", "folder with config.json and safetensors"},
**         {"json", NULL, "print one JSON object per line"},
**         {NULL, NULL, NULL}};
**
**     int command_thing(int argc, char **argv)
**     {
**         struct command command;
**         int status = command_begin(&command, argc, argv, options,
**                                    "thing --model DIR [WORD ...]",
**                                    "Does the thing.");
**         if (status >= 0)
**             return status;
**         ...
**         return command_end(&command, rc);
**     }
*/
#ifndef TUNE_COMMANDS_COMMAND_H
#define TUNE_COMMANDS_COMMAND_H

#include <jansson.h>
#include <stddef.h>

#include "runtime/base/error.h"

struct option_spec {
    const char *name;    /* without the dashes */
    const char *metavar; /* NULL: a flag without a value */
    const char *help;
};

struct command {
    const char *name; /* argv[0] */
    const struct option_spec *options;
    const char *usage;
    const char **given; /* pairs: name, value */
    int given_count;
    const char **words; /* positional arguments, in order */
    int word_count;
    int json;             /* --json was given */
    struct tsr_error err; /* the command's own; pass &command.err down */
};

/* Parses argv[1..]. Returns -1 to go on, else the exit status to return: 0
** after --help, 2 after a usage error (already printed). An option may stand
** as --name VALUE or --name=VALUE; `--` ends options; "-o" is "output". */
int command_begin(struct command *command, int argc, char **argv,
                  const struct option_spec *options, const char *usage,
                  const char *summary);

/* The last value given, or NULL (flags: ""). */
const char *command_option(const struct command *command, const char *name);
/* The `index`-th value of a repeated option, or NULL. */
const char *command_option_at(const struct command *command, const char *name,
                              int index);
/* Reads an integer option into *value when it was given; a value outside
** [low, high] or with other characters is a TSR_EUSAGE error. */
int command_integer(struct command *command, const char *name, long long low,
                    long long high, long long *value);
/* TSR_EUSAGE with "--name is needed" when it is absent. */
int command_require(struct command *command, const char *name,
                    const char **value);

/* Prints one JSON object as one line on stdout, keys in insertion order,
** infinities and NaN having been stored with command_json_real. Takes the
** reference. */
void command_print_json(json_t *object);
/* A real, or the strings "inf", "-inf", "nan". */
json_t *command_json_real(double value);

/* Prints command->err when rc != 0 ("tessera NAME: text", or {"error": text}
** with --json, on stderr), releases the command and returns the exit status:
** 0, 2 for TSR_EUSAGE, else 1. */
int command_end(struct command *command, int rc);

/* A bar on stderr, drawn only on a terminal and only once two seconds have
** passed; removed by progress_end. */
struct progress {
    const char *label;
    double started;
    double drawn;
    int enabled;
    int visible;
};

void progress_begin(struct progress *progress, const char *label);
void progress_update(struct progress *progress, size_t done, size_t total);
void progress_end(struct progress *progress);

/* Seconds since an arbitrary start (monotonic) and CPU seconds of this
** process, all threads. */
double command_wall_seconds(void);
double command_cpu_seconds(void);

/* One line per command: name, function, first words of its help. */
#define COMMAND_LIST(X)                                                     \
    X(doctor, "what is here: toolkit, devices, libraries; what is missing") \
    X(gen, "print the CUDA source emitted for a SPEC")                      \
    X(compile, "compile a SPEC: registers, spills, shared memory, SASS")    \
    X(emulate, "run any PTX on the emulator, with hazard checks")           \
    X(quantize, "fp16 weights to packed 4-bit weights")                     \
    X(tune, "find the best kernel for every shape of a model")              \
    X(db, "show, check and exchange tuning databases")                      \
    X(pack, "put a model's winners into one package file")                  \
    X(verify, "check every packed kernel on the model's weights")           \
    X(bench, "measure kernels against limits")                              \
    X(cache, "the compile cache: size, place, emptying")

#define X(name, help) int command_##name(int argc, char **argv);
COMMAND_LIST(X)
#undef X

#endif
