/* main.c -- the `tessera-serve` program: what a deployer runs. It links the
** runtime alone: no Lua, no compiler, nothing that tunes.
*/
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/server/check.h"

static const char usage[] =
    "usage: tessera-serve check --package FILE.tpk [--model DIR] [--device D]"
    " [--json]\n"
    "\n"
    "Opens the package, the quantised model and the device as a server does,\n"
    "loads every kernel for this architecture, launches each on the model's\n"
    "weights and compares their bits.\n"
    "\n"
    "options:\n"
    "  --package FILE.tpk  from 'tessera pack'\n"
    "  --model DIR         from 'tessera quantize'; without it kernels are\n"
    "                      loaded, not launched\n"
    "  --device D          cuda:N or emulator:sm_XX (default: cuda:0 where\n"
    "                      there is one, else emulator:sm_90a)\n"
    "  --json              one JSON object per line\n"
    "  --version, --help\n";

static int fail(const struct tsr_error *err, int json)
{
    if (json) {
        json_t *object = json_pack("{s:s}", "error", err->text);
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        fprintf(stderr, "%s\n", text ? text : "{\"error\":\"failed\"}");
        free(text);
        json_decref(object);
    } else
        fprintf(stderr, "tessera-serve: %s\n", err->text);
    return err->code == TSR_EUSAGE ? 2 : 1;
}

/* Where the value of an option goes, or NULL for an unknown one. */
static const char **value_of(struct tsr_check *check, const char *name,
                             size_t size)
{
    static const char *const names[] = {"--package", "--model", "--device"};
    const char **values[] = {&check->package, &check->model, &check->device};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && strncmp(names[i], name, size) == 0)
            return values[i];
    return NULL;
}

static int parse(struct tsr_check *check, int argc, char **argv,
                 struct tsr_error *err)
{
    for (int i = 2; i < argc; i++) {
        size_t size = strcspn(argv[i], "=");
        const char **value = value_of(check, argv[i], size);
        if (strcmp(argv[i], "--json") == 0)
            check->json = 1;
        else if (!value)
            return TSR_FAIL(err, TSR_EUSAGE,
                            "unknown option '%s'; see tessera-serve --help",
                            argv[i]);
        else if (argv[i][size] == '=')
            *value = argv[i] + size + 1;
        else if (i + 1 < argc)
            *value = argv[++i];
        else
            return TSR_FAIL(err, TSR_EUSAGE, "option %s needs a value",
                            argv[i]);
    }
    if (!check->package)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "--package is needed; see "
                        "tessera-serve --help");
    return 0;
}

int main(int argc, char **argv)
{
    struct tsr_check check = {.out = stdout};
    struct tsr_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("tessera-serve " TSR_VERSION);
            return 0;
        }
    }
    if (argc < 2 || strcmp(argv[1], "check") != 0) {
        TSR_FAIL(&err, TSR_EUSAGE,
                 "unknown command '%s'; this version knows "
                 "'check', see tessera-serve --help",
                 argc < 2 ? "" : argv[1]);
        return fail(&err, 0);
    }
    int rc = parse(&check, argc, argv, &err);
    if (rc == 0)
        rc = tsr__server_check(&check, &err);
    if (rc)
        return fail(&err, check.json);
    if (fflush(stdout) != 0) {
        TSR_FAIL(&err, TSR_EIO, "cannot write the output: %s", strerror(errno));
        return fail(&err, 0);
    }
    return 0;
}
