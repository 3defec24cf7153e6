/* compile.c -- tessera compile: a SPEC, or a .cu file, to machine code.
**
** Prints what decides whether a kernel is any good before it ever runs:
** registers, spills, shared memory, code size, what its SASS is made of.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/commands/command.h"
#include "autotune/commands/compile_report.h"
#include "runtime/base/buffer.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"

#define DEFAULT_ARCH   "sm_90a"
#define MAXIMUM_WORDS  64
#define MAXIMUM_REPEAT 1000
#define SOURCE_LIMIT   ((size_t)16 << 20)

static const struct option_spec options[] = {
    {"arch", "sm_XX", "architecture; a SPEC may say arch=sm_XX instead"},
    {"output", "PREFIX", "write PREFIX.cu, PREFIX.ptx, PREFIX.cubin (-o)"},
    {"repeat", "N", "compile N times, cache off; compile_ms is the median"},
    {"no-cache", NULL, "neither read nor fill the compile cache"},
    {"line-info", NULL, "with line information, as for naming findings"},
    {"scripts", "DIR", "gen/lua and templates of DIR before the built-in ones"},
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL}};

/* What is compiled, and where it came from. */
struct subject {
    char *source;
    const char *name; /* in messages without a #line */
    char arch[32];
    const char *file;
    struct gen_kernel kernel; /* of a SPEC */
};

static void subject_release(struct subject *subject)
{
    if (subject->file)
        tsr__free(subject->source);
    gen_kernel_release(&subject->kernel);
    memset(subject, 0, sizeof *subject);
}

static int is_file(const struct command *command)
{
    const char *word = command->words[0];
    size_t length = strlen(word);
    return command->word_count == 1 && length > 3 &&
           strcmp(word + length - 3, ".cu") == 0;
}

static int take_arch(struct subject *subject, const char *arch, size_t length,
                     struct tsr_error *err)
{
    if (length == 0 || length >= sizeof subject->arch)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "--arch: expected sm_80, sm_90a or the like");
    memcpy(subject->arch, arch, length);
    subject->arch[length] = 0;
    return 0;
}

static int read_subject(struct command *command, struct subject *subject)
{
    const char *arch = command_option(command, "arch");
    int rc = take_arch(subject, arch ? arch : DEFAULT_ARCH,
                       strlen(arch ? arch : DEFAULT_ARCH), &command->err);
    if (rc)
        return rc;
    subject->file = subject->name = command->words[0];
    return tsr__file_read(subject->file, SOURCE_LIMIT, &subject->source, NULL,
                          &command->err);
}

/* The SPEC may stand as one quoted word; --arch replaces its arch=. `text`
** holds the words. */
static int split_words(struct command *command, char *text, const char **words,
                       char *arch_word, size_t arch_size)
{
    const char *arch = command_option(command, "arch");
    int count = 0;
    for (char *word = strtok(text, " \t\n"); word;
         word = strtok(NULL, " \t\n")) {
        if (arch && strncmp(word, "arch=", 5) == 0)
            continue;
        if (count == MAXIMUM_WORDS)
            return TSR_FAIL(&command->err, TSR_EUSAGE,
                            "a SPEC has at most %d words", MAXIMUM_WORDS);
        words[count++] = word;
    }
    if (arch) {
        snprintf(arch_word, arch_size, "arch=%s", arch);
        words[count++] = arch_word;
    }
    return count;
}

static char *join_words(const struct command *command)
{
    struct tsr_buffer text = TSR_BUFFER_INIT;
    for (int i = 0; i < command->word_count; i++)
        tsr__buffer_addf(&text, "%s ", command->words[i]);
    return text.failed ? NULL : tsr__buffer_detach(&text, NULL);
}

static int render_subject(struct command *command, struct subject *subject)
{
    struct gen_host *host = NULL;
    const char *words[MAXIMUM_WORDS + 1], *arch;
    char arch_word[64];
    char *text = join_words(command);
    if (!text)
        return TSR_FAIL(&command->err, TSR_EMEMORY, "out of memory");
    int rc = split_words(command, text, words, arch_word, sizeof arch_word);
    int count = rc;
    if (rc < 0)
        goto done;
    rc =
        gen_host_open(&host, command_option(command, "scripts"), &command->err);
    if (rc == 0)
        rc = gen_render(host, words, count, &subject->kernel, &command->err);
    if (rc)
        goto done;
    arch = strstr(subject->kernel.spec, "arch=");
    rc = arch ? take_arch(subject, arch + 5, strcspn(arch + 5, " "),
                          &command->err)
              : take_arch(subject, DEFAULT_ARCH, strlen(DEFAULT_ARCH),
                          &command->err);
    subject->source = subject->kernel.source;
    subject->name = subject->kernel.entry;
done:
    gen_host_free(host);
    tsr__free(text);
    return rc;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* Compiles `repeat` times and leaves the last result in *out. */
static int compile_all(struct command *command, const struct subject *subject,
                       int repeat, unsigned flags, struct gen_binary *out,
                       double *median)
{
    double times[MAXIMUM_REPEAT] = {0};
    struct progress progress;
    int rc = 0;
    progress_begin(&progress, "compile");
    for (int i = 0; i < repeat && rc == 0; i++) {
        gen_binary_release(out);
        rc = gen_compile(subject->source, subject->name, subject->arch, flags,
                         out, &command->err);
        times[i] = out->compile_ms;
        progress_update(&progress, (size_t)i + 1, (size_t)repeat);
    }
    progress_end(&progress);
    if (rc)
        return rc;
    qsort(times, (size_t)repeat, sizeof *times, by_value);
    *median = repeat % 2 ? times[repeat / 2]
                         : (times[repeat / 2 - 1] + times[repeat / 2]) / 2;
    return 0;
}

static int write_one(const char *prefix, const char *suffix, const void *bytes,
                     size_t size, struct tsr_error *err)
{
    char path[4096];
    int used = snprintf(path, sizeof path, "%s%s", prefix, suffix);
    if (used < 0 || (size_t)used >= sizeof path)
        return TSR_FAIL(err, TSR_EUSAGE, "--output: the name is too long");
    return tsr__file_write(path, bytes, size, err);
}

static int write_files(const char *prefix, const struct subject *subject,
                       const struct gen_binary *binary, struct tsr_error *err)
{
    int rc =
        write_one(prefix, ".cu", subject->source, strlen(subject->source), err);
    if (rc == 0)
        rc = write_one(prefix, ".ptx", binary->ptx, binary->ptx_size, err);
    if (rc == 0)
        rc =
            write_one(prefix, ".cubin", binary->cubin, binary->cubin_size, err);
    return rc;
}

static int show(struct command *command, struct compile_report report)
{
    struct gen_cubin cubin = {0};
    struct gen_sass *sass = NULL;
    int rc = gen_cubin_parse(report.binary->cubin, report.binary->cubin_size,
                             &cubin, &command->err);
    if (rc)
        return rc;
    sass = tsr__calloc(cubin.kernel_count, sizeof *sass);
    if (!sass)
        rc = TSR_FAIL(&command->err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; rc == 0 && i < cubin.kernel_count; i++)
        rc = gen_sass_inspect(cubin.kernels[i].code, cubin.kernels[i].code_size,
                              cubin.sm, &sass[i], &command->err);
    report.cubin = &cubin;
    report.sass = sass;
    if (rc == 0 && command->json)
        command_print_json(compile_report_json(&report));
    else if (rc == 0)
        compile_report_print(&report);
    for (size_t i = 0; sass && i < cubin.kernel_count; i++)
        gen_sass_release(&sass[i]);
    tsr__free(sass);
    gen_cubin_release(&cubin);
    return rc;
}

static int run(struct command *command, struct subject *subject,
               struct gen_binary *binary)
{
    const char *prefix = command_option(command, "output");
    long long repeat = 1;
    double median = 0;
    unsigned flags = 0;
    if (command->word_count == 0)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "a SPEC or a .cu file is needed");
    int rc = command_integer(command, "repeat", 1, MAXIMUM_REPEAT, &repeat);
    if (rc)
        return rc;
    if (command_option(command, "no-cache") ||
        command_option(command, "repeat"))
        flags |= GEN_NO_CACHE;
    if (command_option(command, "line-info"))
        flags |= GEN_LINE_INFO;
    rc = is_file(command) ? read_subject(command, subject)
                          : render_subject(command, subject);
    if (rc == 0)
        rc = compile_all(command, subject, (int)repeat, flags, binary, &median);
    if (rc == 0 && prefix)
        rc = write_files(prefix, subject, binary, &command->err);
    if (rc)
        return rc;
    struct compile_report report = {
        .spec = subject->kernel.spec,
        .file = subject->file,
        .arch = subject->arch,
        .launch = subject->file ? NULL : &subject->kernel.launch,
        .binary = binary,
        .compile_ms = median,
        .repeat = (int)repeat,
    };
    return show(command, report);
}

int command_compile(int argc, char **argv)
{
    struct command command;
    struct subject subject = {0};
    struct gen_binary binary = {0};
    int status =
        command_begin(&command, argc, argv, options,
                      "compile SPEC|FILE.cu [--arch sm_XX] [-o PREFIX]",
                      "Compiles a kernel and says what became of it.");
    if (status >= 0)
        return status;
    int rc = run(&command, &subject, &binary);
    gen_binary_release(&binary);
    subject_release(&subject);
    return command_end(&command, rc);
}
