/* emulate.c -- tessera emulate: any PTX, on the emulator.
**
** Loads a PTX file, binds each --arg to the kernel's parameter of the same
** position, runs the grid, and prints the out: and inout: buffers in argument
** order. The PTX may come from anywhere: whatever it holds, the answer is
** results, findings, or one line that says what cannot be taken.
**
** Exit status: 0, 1 with findings, 2 for PTX or arguments that cannot be taken.
*/
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "autotune/commands/command.h"
#include "autotune/commands/emulate_argument.h"
#include "autotune/commands/emulate_print.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/emulator.h"

static const struct option_spec options[] = {
    {"kernel", "NAME", "the entry to run; may be left out when there is one"},
    {"grid", "X[,Y[,Z]]", "blocks"},
    {"block", "X[,Y[,Z]]", "threads of a block"},
    {"shared", "BYTES", "dynamic shared memory (0)"},
    {"arch", "sm_XX", "the GPU it stands for; the PTX must run there"},
    {"arg", "ARG",
     "one per parameter, in order (repeatable): TYPE:VALUE, "
     "in:TYPE:v,v,... in:@FILE out:TYPE:COUNT "
     "inout:TYPE:v,v,... inout:@FILE"},
    {"seed", "N", "order of warps and blocks; 0 (default) is the natural one"},
    {"schedules", "N", "run under N seeds; all must agree (1)"},
    {"threads", "N", "host threads; results do not depend on them (all CPUs)"},
    {"limit", "N",
     "warp instructions that one block may execute (2^28, or 2^25 with "
     "atomics whose results are used)"},
    {"perturb", "ULP", "vary .approx results by up to this many ulps (0)"},
    {"no-checks", NULL, "results and bounds only, twice as fast"},
    {"counts", NULL, "print what was executed"},
    {"list-ops", NULL, "print every opcode that is taken"},
    {"list-findings", NULL, "print every kind of finding"},
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL}};

static const char usage[] =
    "emulate FILE.ptx --kernel K --grid X[,Y[,Z]] --block X[,Y[,Z]] [--arg ARG "
    "...]";

/* PTX longer than this is refused. */
#define PTX_LIMIT ((size_t)256 << 20)

/* Warp instructions of a block, unless --limit says otherwise: a kernel that
** loops for ever ends after seconds, not minutes. Those that use the results
** of atomics, or that wait for other blocks, run several blocks in turns and
** slower, and have less to do. */
#define LOOP_LIMIT (1 << 28)
#define SPIN_LIMIT (1 << 25)

/* All that one run needs, released together. */
struct run {
    struct command command;
    struct emu_memory *memory;
    struct emu_module *module;
    const struct emu_kernel *kernel;
    struct emu_kernel_info info;
    struct tune_argument *arguments;
    size_t argument_count;
    unsigned char *block; /* the argument block */
    struct emu_launch launch;
    struct emu_options options;
    struct emu_report report;
};

static void run_release(struct run *run)
{
    emu_report_release(&run->report);
    emu_module_free(run->module);
    emu_memory_free(run->memory);
    for (size_t i = 0; i < run->argument_count; i++)
        tune_argument_release(&run->arguments[i]);
    tsr__free(run->arguments);
    tsr__free(run->block);
}

/* ---- options ------------------------------------------------------------- */

/* X[,Y[,Z]] with every part from 1 to its maximum. */
static int parse_shape(struct command *command, const char *name,
                       const uint32_t maximum[3], uint32_t out[3])
{
    const char *text;
    int rc = command_require(command, name, &text);
    if (rc)
        return rc;
    const char *at = text;
    uint32_t shape[3] = {1, 1, 1};
    for (int i = 0; i < 3; i++) {
        char *end = NULL;
        errno = 0;
        unsigned long long value =
            *at >= '0' && *at <= '9' ? strtoull(at, &end, 10) : 0;
        if (errno || value < 1 || value > maximum[i] ||
            (*end && (*end != ',' || i == 2)))
            return TSR_FAIL(&command->err, TSR_EUSAGE,
                            "--%s %.100s: expected X[,Y[,Z]], at most "
                            "%u,%u,%u",
                            name, text, maximum[0], maximum[1], maximum[2]);
        shape[i] = (uint32_t)value;
        if (!*end)
            break;
        at = end + 1;
    }
    memcpy(out, shape, sizeof shape);
    return 0;
}

/* Architectures we know, with the shared memory of a block (bytes, opt-in). */
static const struct {
    int number;
    uint32_t shared;
} archs[] = {
    {75, 65536},   {80, 166912},  {86, 101376},  {87, 166912},  {88, 101376},
    {89, 101376},  {90, 232448},  {100, 232448}, {101, 232448}, {103, 232448},
    {110, 232448}, {120, 101376}, {121, 101376},
};

/* "sm_90a" into 90 and 'a' (0 for none); -1 when it is not of that form. */
static int parse_arch(const char *text, int *number, char *suffix)
{
    char *end;
    if (strncmp(text, "sm_", 3) != 0 || text[3] < '1' || text[3] > '9')
        return -1;
    long value = strtol(text + 3, &end, 10);
    *suffix = *end;
    if (value > 999 || (*end && *end != 'a' && *end != 'f') || (*end && end[1]))
        return -1;
    *number = (int)value;
    return 0;
}

/* --arch: known, and able to run the module's target. PTX runs on its own and
** later architectures; with a suffix only on its own (a) or family (f). */
static int check_arch(struct run *run)
{
    struct command *command = &run->command;
    const char *arch = command_option(command, "arch");
    const char *target = emu_module_ptx(run->module)->target;
    int number = 0, wanted = 0;
    char suffix = 0, wanted_suffix = 0;
    if (!arch)
        return 0;
    size_t i = sizeof archs / sizeof *archs;
    if (parse_arch(arch, &number, &suffix) == 0)
        for (i = 0; i < sizeof archs / sizeof *archs; i++)
            if (archs[i].number == number)
                break;
    if (i == sizeof archs / sizeof *archs)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "--arch %.40s: unknown; expected sm_75, sm_80, sm_86, "
                        "sm_89, sm_90a, sm_100a, sm_120a or the like",
                        arch);
    if (target && parse_arch(target, &wanted, &wanted_suffix) == 0 &&
        (wanted > number ||
         (wanted_suffix == 'a' && (wanted != number || suffix != 'a')) ||
         (wanted_suffix == 'f' && (wanted / 10 != number / 10 || !suffix))))
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "--arch %s: the PTX is for %s, which does not run "
                        "there",
                        arch, target);
    run->options.shared_limit = archs[i].shared;
    return 0;
}

static int parse_options(struct run *run)
{
    static const uint32_t grid_maximum[3] = {2147483647, 65535, 65535};
    static const uint32_t block_maximum[3] = {1024, 1024, 64};
    struct command *command = &run->command;
    long long shared = 0, seed = 0, schedules = 1, threads = 0, limit = 0,
              perturb = 0;
    int rc = 0;
    (void)((rc = command_integer(command, "shared", 0, 1 << 20, &shared)) ||
           (rc = command_integer(command, "seed", 0, INT64_MAX, &seed)) ||
           (rc = command_integer(command, "schedules", 1, 1000, &schedules)) ||
           (rc = command_integer(command, "threads", 1, 256, &threads)) ||
           (rc = command_integer(command, "limit", 1, INT64_MAX, &limit)) ||
           (rc = command_integer(command, "perturb", 0, 1000, &perturb)) ||
           (rc =
                parse_shape(command, "grid", grid_maximum, run->launch.grid)) ||
           (rc = parse_shape(command, "block", block_maximum,
                             run->launch.block)));
    if (rc)
        return rc;
    run->launch.shared = (uint32_t)shared;
    run->options = (struct emu_options)EMU_OPTIONS_DEFAULT;
    run->options.checks = !command_option(command, "no-checks");
    run->options.counts = command_option(command, "counts") != NULL;
    run->options.seed = (uint64_t)seed;
    run->options.schedules = (int)schedules;
    run->options.threads = (int)threads;
    run->options.instruction_limit = (uint64_t)limit;
    run->options.perturb_ulp = (int)perturb;
    return 0;
}

/* ---- module and arguments ------------------------------------------------ */

/* What the emulator refuses is a PTX that cannot be taken: status 2. */
static int refused(int rc, struct tsr_error *err)
{
    if (rc && rc != TSR_EMEMORY)
        err->code = rc = TSR_EUSAGE;
    return rc;
}

static int load_module(struct run *run)
{
    struct command *command = &run->command;
    const char *path = command->words[0];
    const char *name = command_option(command, "kernel");
    char *text = NULL;
    size_t size = 0;
    int rc = tsr__file_read(path, PTX_LIMIT, &text, &size, &command->err);
    if (rc == 0)
        rc = emu_module_load(&run->module, run->memory, text, size, path,
                             &command->err);
    tsr__free(text);
    if (rc)
        return refused(rc, &command->err);
    run->kernel = emu_module_kernel(run->module, name);
    if (run->kernel) {
        emu_kernel_info(run->kernel, &run->info);
        return 0;
    }
    const struct emu_kernel *first = emu_module_entry(run->module, 0);
    struct emu_kernel_info info = {0};
    if (!first)
        return TSR_FAIL(&command->err, TSR_EUSAGE, "%s has no kernel (.entry)",
                        path);
    emu_kernel_info(first, &info);
    if (!name)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "%s has several kernels; say which with --kernel, for "
                        "example --kernel %s",
                        path, info.name);
    return TSR_FAIL(&command->err, TSR_EUSAGE,
                    "%s has no kernel '%.200s'; it has '%s'", path, name,
                    info.name);
}

/* Half of this machine's memory: what all buffers together may take. */
static size_t memory_limit(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
    if (pages <= 0 || size <= 0)
        return (size_t)1 << 30;
    return (size_t)pages / 2 * (size_t)size;
}

static int parse_arguments(struct run *run)
{
    struct command *command = &run->command;
    size_t count = 0, left = memory_limit();
    while (command_option_at(command, "arg", (int)count))
        count++;
    run->arguments = tsr__calloc(count, sizeof *run->arguments);
    if (!run->arguments)
        return TSR_FAIL(&command->err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct tune_argument *a = &run->arguments[i];
        int rc = tune_argument_parse(
            a, command_option_at(command, "arg", (int)i), left, &command->err);
        if (rc)
            return rc;
        run->argument_count++;
        left -= a->bytes;
    }
    return 0;
}

/* Does the argument fit the parameter? Floats do not go into integers nor the
** other way round, except for 16 bits, which CUDA passes as plain words. */
static int check_argument(struct run *run, size_t i)
{
    const struct tune_argument *a = &run->arguments[i];
    const struct emu_parameter *p = &run->info.parameters[i];
    struct tsr_error *err = &run->command.err;
    size_t bytes = a->role == TUNE_SCALAR ? a->bytes : 8;
    char class = ptx_type_class(p->type);
    int is_float = a->role == TUNE_SCALAR && ptx_type_class(a->type) == 'f';
    if (bytes != p->bytes)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "--arg %.100s: parameter %zu of %s (%s) has %zu bytes, "
                        "%s has %zu",
                        a->text, i + 1, run->info.name, p->name, p->bytes,
                        a->role == TUNE_SCALAR ? ptx_type_name(a->type)
                                               : "a buffer's address",
                        bytes);
    if (bytes > 2 && ((class == 'f' && !is_float) ||
                      ((class == 'u' || class == 's') && is_float)))
        return TSR_FAIL(err, TSR_EUSAGE,
                        "--arg %.100s: parameter %zu of %s (%s) is of type %s",
                        a->text, i + 1, run->info.name, p->name,
                        ptx_type_name(p->type));
    return 0;
}

static int place_argument(struct run *run, size_t i)
{
    struct tune_argument *a = &run->arguments[i];
    const struct emu_parameter *p = &run->info.parameters[i];
    char label[96];
    if (a->role == TUNE_SCALAR) {
        memcpy(run->block + p->offset, a->contents, a->bytes);
        return 0;
    }
    snprintf(label, sizeof label, "argument %zu (%.50s)", i + 1, p->name);
    int rc = emu_memory_alloc(run->memory, a->bytes, label, &a->address,
                              &run->command.err);
    if (rc)
        return rc;
    void *host = emu_memory_host(run->memory, a->address, a->bytes);
    if (a->bytes && a->contents)
        memcpy(host, a->contents, a->bytes);
    else if (a->bytes)
        memset(host, 0, a->bytes);
    memcpy(run->block + p->offset, &a->address, 8);
    return 0;
}

static int bind_arguments(struct run *run)
{
    if (run->argument_count != run->info.parameter_count)
        return TSR_FAIL(&run->command.err, TSR_EUSAGE,
                        "%s has %zu parameters, but %zu --arg were given",
                        run->info.name, run->info.parameter_count,
                        run->argument_count);
    run->block = tsr__calloc(run->info.argument_bytes + 1, 1);
    if (!run->block)
        return TSR_FAIL(&run->command.err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < run->argument_count; i++) {
        int rc = check_argument(run, i);
        if (rc == 0)
            rc = place_argument(run, i);
        if (rc)
            return rc;
    }
    if (run->options.instruction_limit == 0)
        run->options.instruction_limit =
            run->info.ordered ? SPIN_LIMIT : LOOP_LIMIT;
    run->launch.kernel = run->kernel;
    run->launch.arguments = run->block;
    run->launch.argument_bytes = run->info.argument_bytes;
    return 0;
}

/* ---- printing ------------------------------------------------------------ */

static void add_outputs(struct tsr_buffer *out, struct run *run, int json)
{
    int first = 1;
    for (size_t i = 0; i < run->argument_count; i++) {
        const struct tune_argument *a = &run->arguments[i];
        if (a->role != TUNE_OUT && a->role != TUNE_INOUT)
            continue;
        const unsigned char *bytes =
            emu_memory_host(run->memory, a->address, a->bytes);
        if (json)
            tsr__buffer_addf(out, "%s[", first ? "" : ",");
        tune_values_print(out, a->type, bytes, a->count, json ? "," : " ",
                          json);
        tsr__buffer_addf(out, json ? "]" : "\n");
        first = 0;
    }
}

static void add_json(struct tsr_buffer *out, struct run *run)
{
    tsr__buffer_addf(out, "{\"outputs\":[");
    add_outputs(out, run, 1);
    tsr__buffer_addf(out, "],\"findings\":[");
    tune_json_findings(out, &run->report.findings, 0);
    tsr__buffer_addf(out, "],\"notes\":[");
    tune_json_findings(out, &run->report.findings, 1);
    tsr__buffer_addf(out, "]");
    if (run->report.output.size) {
        tsr__buffer_addf(out, ",\"printed\":");
        tune_json_string(out, run->report.output.data);
    }
    if (run->options.counts)
        tune_counts_print(out, &run->report.counts, 1);
    tsr__buffer_addf(out, "}\n");
}

static void add_text(struct tsr_buffer *out, struct run *run)
{
    const struct tsr_buffer *printed = &run->report.output;
    if (printed->size)
        tsr__buffer_add(out, printed->data, printed->size);
    add_outputs(out, run, 0);
    if (run->options.counts)
        tune_counts_print(out, &run->report.counts, 0);
}

/* Results on stdout, findings (when they are not in the JSON) on stderr. */
static int print_run(struct run *run)
{
    struct tsr_buffer out = TSR_BUFFER_INIT, errors = TSR_BUFFER_INIT;
    if (run->command.json)
        add_json(&out, run);
    else
        add_text(&out, run);
    for (size_t i = 0; !run->command.json && i < run->report.findings.count;
         i++) {
        emu_finding_print(&run->report.findings.item[i], &errors);
        tsr__buffer_addf(&errors, "\n");
    }
    int failed = out.failed || errors.failed;
    if (!failed && out.size)
        fwrite(out.data, 1, out.size, stdout);
    if (!failed && errors.size)
        fwrite(errors.data, 1, errors.size, stderr);
    tsr__buffer_release(&out);
    tsr__buffer_release(&errors);
    return failed ? TSR_FAIL(&run->command.err, TSR_EMEMORY,
                             "out of memory for the results")
                  : 0;
}

/* ---- the command --------------------------------------------------------- */

static int print_lists(struct command *command)
{
    struct tsr_buffer out = TSR_BUFFER_INIT;
    int rc = 0;
    if (command_option(command, "list-ops"))
        rc = emu_print_opcodes(&out);
    if (command_option(command, "list-findings"))
        for (int k = 0; k < EMU_FINDING_KINDS; k++)
            tsr__buffer_addf(&out, "%-23s %s\n",
                             emu_finding_name((enum emu_finding_kind)k),
                             emu_finding_meaning((enum emu_finding_kind)k));
    if (rc || out.failed)
        rc = TSR_FAIL(&command->err, TSR_EMEMORY, "out of memory");
    else if (out.size)
        fwrite(out.data, 1, out.size, stdout);
    tsr__buffer_release(&out);
    return rc;
}

static int run_all(struct run *run)
{
    struct command *command = &run->command;
    int rc;
    if (command->word_count != 1)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "one PTX file is needed; usage: tessera %s", usage);
    if ((rc = parse_options(run)) || (rc = parse_arguments(run)) ||
        (rc = emu_memory_create(&run->memory, &command->err)) ||
        (rc = load_module(run)) || (rc = check_arch(run)) ||
        (rc = bind_arguments(run)))
        return rc;
    rc = emu_launch_run(&run->launch, &run->options, &run->report,
                        &command->err);
    return rc ? refused(rc, &command->err) : print_run(run);
}

int command_emulate(int argc, char **argv)
{
    struct run run = {0};
    int status = command_begin(
        &run.command, argc, argv, options, usage,
        "Runs a kernel of any PTX file on the emulator and prints its out: and "
        "inout: buffers.\nFaults (races, bounds, missing waits, ...) are "
        "findings, on stderr or in the JSON.\nARG is TYPE:VALUE, "
        "in:TYPE:v,v,... in:@FILE, out:TYPE:COUNT (zeroed),\n"
        "inout:TYPE:v,v,... or inout:@FILE; TYPE is u8 s8 u16 s16 u32 s32 u64 "
        "s64 f16 bf16 f32 f64;\n@FILE is raw little-endian. Exit status 1 with "
        "findings, 2 for what cannot be taken.");
    if (status >= 0)
        return status;
    int rc = command_option(&run.command, "list-ops") ||
                     command_option(&run.command, "list-findings")
                 ? print_lists(&run.command)
                 : run_all(&run);
    int found = rc == 0 && emu_report_faults(&run.report) > 0;
    run_release(&run);
    status = command_end(&run.command, rc);
    return status == 0 && found ? 1 : status;
}
