/* gpu_check.c -- the program of the GPU bundle.
**
**     gpu_check [--device cuda:0] [--folder BUNDLE] [--output DIR]
**               [--only conformance|candidates|ceilings] [--largest N]
**
** 1. every conformance case, on the device and on the emulator beside it;
** 2. every GEMM candidate against the C reference, bit for bit, and its time;
** 3. the ceilings: what the GPU can do at most;
** and writes DIR/results.json (device, driver, date, command, all verdicts)
** and DIR/conformance.jsonl, one line a case. Exit status 0 when everything
** was right, 1 when something was not, 2 for bad usage.
**
** It runs on the emulator as well (--device emulator:sm_90a), and against a
** driver look-alike, so that it is tested where there is no GPU; --largest
** then leaves out problems of more than N multiply-adds.
*/
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/file.h"
#include "runtime/device/device.h"
#include "tests/emulator/conformance/conformance.h"
#include "tests/gpu/candidates.h"
#include "tests/gpu/ceilings.h"
#include "tests/gpu/results.h"

struct options {
    const char *device, *folder, *output, *only;
    double largest;
};

static int usage(const char *word)
{
    fprintf(stderr,
            "gpu_check: unexpected '%s'\nusage: gpu_check [--device D] "
            "[--folder BUNDLE] [--output DIR] [--only conformance|candidates|"
            "ceilings] [--largest N]\n",
            word);
    return 2;
}

static int parse_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = NULL;
        if (!value)
            return usage(argv[i]);
        if (strcmp(argv[i], "--device") == 0)
            o->device = value;
        else if (strcmp(argv[i], "--folder") == 0)
            o->folder = value;
        else if (strcmp(argv[i], "--output") == 0)
            o->output = value;
        else if (strcmp(argv[i], "--only") == 0)
            o->only = value;
        else if (strcmp(argv[i], "--largest") == 0) {
            o->largest = strtod(value, &end);
            if (*end || !(o->largest > 0))
                return usage(value);
        } else
            return usage(argv[i]);
    }
    if (o->only && strcmp(o->only, "conformance") != 0 &&
        strcmp(o->only, "candidates") != 0 && strcmp(o->only, "ceilings") != 0)
        return usage(o->only);
    return 0;
}

static int wanted(const struct options *o, const char *part)
{
    return !o->only || strcmp(o->only, part) == 0;
}

static void describe(struct results *r, const struct tsr_device_info *info,
                     int argc, char **argv)
{
    char date[32], command[1024] = "";
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    for (int i = 0; i < argc; i++) {
        size_t used = strlen(command);
        snprintf(command + used, sizeof command - used, "%s%s", i ? " " : "",
                 argv[i]);
    }
    results_text(r, "version", TSR_VERSION);
    results_text(r, "date", date);
    results_text(r, "command", command);
    results_text(r, "device", info->name);
    results_text(r, "arch", info->arch);
    results_text(r, "uuid", info->uuid);
    results_integer(r, "emulated", info->emulated);
    results_integer(r, "driver_version", info->driver_version);
    results_integer(r, "sm_count", info->sm_count);
    results_integer(r, "clock_khz", info->clock_khz);
    results_integer(r, "memory_clock_khz", info->memory_clock_khz);
    results_integer(r, "l2_bytes", (long long)info->l2_bytes);
}

static void add_conformance(struct results *r, const char *key,
                            const struct conformance_result *c)
{
    results_open(r, key, '{');
    results_integer(r, "cases", (long long)c->cases);
    results_integer(r, "passed", (long long)c->passed);
    results_integer(r, "failed", (long long)c->failed);
    results_integer(r, "skipped", (long long)c->skipped);
    results_close(r, '}');
}

/* The same text and vectors on the device and on the emulator. */
static int check_conformance(struct tsr_device *device, const struct options *o,
                             struct results *r, size_t *failed,
                             struct tsr_error *err)
{
    char path[1024];
    struct conformance_result here = {0}, emulated = {0};
    struct tsr_device *emulator = NULL;
    snprintf(path, sizeof path, "%s/conformance.jsonl", o->output);
    FILE *json = fopen(path, "w");
    if (!json)
        return TSR_FAIL(err, TSR_EIO, "cannot write '%s'", path);
    printf("conformance on %s\n", tsr__device_info(device)->name);
    int rc = conformance_run(device, NULL, stdout, json, &here, err);
    if (fclose(json) != 0 && rc == 0)
        rc = TSR_FAIL(err, TSR_EIO, "cannot write '%s'", path);
    add_conformance(r, "conformance", &here);
    *failed += here.failed;
    printf("  %zu passed, %zu failed, %zu skipped\n", here.passed, here.failed,
           here.skipped);
    if (rc || tsr__device_info(device)->emulated)
        return rc;
    rc = tsr__device_open(&emulator, "emulator:sm_90a", err);
    if (rc)
        return rc;
    printf("conformance on the emulator\n");
    rc = conformance_run(emulator, NULL, stdout, NULL, &emulated, err);
    add_conformance(r, "conformance_emulator", &emulated);
    *failed += emulated.failed;
    printf("  %zu passed, %zu failed, %zu skipped\n", emulated.passed,
           emulated.failed, emulated.skipped);
    tsr__device_free(emulator);
    return rc;
}

static int check_candidates(struct tsr_device *device, const struct options *o,
                            struct results *r, size_t *failed,
                            struct tsr_error *err)
{
    char folder[1024];
    struct gpu_tally tally = {0};
    snprintf(folder, sizeof folder, "%s/candidates", o->folder);
    printf("GEMM candidates\n");
    int rc =
        gpu_candidates_run(device, folder, o->largest, stdout, r, &tally, err);
    printf("  %zu exact, %zu failed, %zu for other architectures\n",
           tally.exact, tally.failed, tally.other_arch);
    *failed += tally.failed;
    return rc;
}

static int check_all(struct tsr_device *device, const struct options *o,
                     struct results *r, size_t *failed, struct tsr_error *err)
{
    char folder[1024];
    int rc = 0;
    snprintf(folder, sizeof folder, "%s/ceilings", o->folder);
    if (wanted(o, "conformance"))
        rc = check_conformance(device, o, r, failed, err);
    if (rc == 0 && wanted(o, "candidates"))
        rc = check_candidates(device, o, r, failed, err);
    if (rc == 0 && wanted(o, "ceilings"))
        rc = gpu_ceilings_run(device, folder, o->largest > 0 ? 1 << 20 : 0,
                              stdout, r, err);
    return rc;
}

static int run(const struct options *o, int argc, char **argv, size_t *failed,
               struct tsr_error *err)
{
    struct tsr_device *device = NULL;
    struct results r = {0};
    char path[1024];
    int rc = tsr__make_directories(o->output, err);
    if (rc == 0)
        rc = tsr__device_open(&device, o->device, err);
    if (rc)
        return rc;
    results_open(&r, NULL, '{');
    describe(&r, tsr__device_info(device), argc, argv);
    int checked = check_all(device, o, &r, failed, err);
    /* What was found stands in the file even if the device was lost. */
    if (checked)
        results_text(&r, "stopped_by", err->text);
    results_integer(&r, "failed", (long long)*failed);
    results_close(&r, '}');
    snprintf(path, sizeof path, "%s/results.json", o->output);
    if (r.text.failed)
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    else
        rc = tsr__file_write(path, r.text.data, r.text.size,
                             checked ? NULL : err);
    printf("results: %s\n", path);
    results_release(&r);
    tsr__device_free(device);
    return rc ? rc : checked;
}

int main(int argc, char **argv)
{
    struct options o = {"cuda:0", ".", "results", NULL, 0};
    struct tsr_error err = {0};
    size_t failed = 0;
    int status = parse_options(&o, argc, argv);
    if (status)
        return status;
    int rc = run(&o, argc, argv, &failed, &err);
    if (rc)
        fprintf(stderr, "gpu_check: %s\n", err.text);
    return rc || failed ? 1 : 0;
}
