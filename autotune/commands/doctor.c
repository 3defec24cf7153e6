/* doctor.c -- tessera doctor: what is here, what is missing, and the command
** that gets it.
**
** Tessera works without a GPU, so a missing driver is a remark. Without NVRTC
** nothing can be compiled: that alone makes the exit status 1.
*/
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "autotune/commands/command.h"
#include "gen/host/cache.h"
#include "gen/host/nvrtc.h"
#include "gen/host/nvrtc_library.h"
#include "gen/host/versions.h"
#include "runtime/device/cuda.h"
#include "runtime/device/gpus.h"
#include "runtime/emulator/emulator.h"

static const struct option_spec options[] = {
    {"json", NULL, "print one JSON object"}, {NULL, NULL, NULL}};

/* Everything is put into one JSON object first and printed from there, so
** that the two outputs cannot differ. */

static json_t *text_lines(const char *text)
{
    json_t *lines = json_array();
    while (text && *text) {
        size_t length = strcspn(text, "\n");
        if (length)
            json_array_append_new(lines, json_stringn(text, length));
        text += length + (text[length] == '\n');
    }
    return lines;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void add_missing(json_t *report, const char *what, const char *how)
{
    json_array_append_new(json_object_get(report, "missing"),
                          json_pack("{s:s, s:s}", "what", what, "get", how));
}

static void examine_nvrtc(json_t *report)
{
    struct tsr_buffer tried = TSR_BUFFER_INIT;
    struct tsr_error error = {0};
    char version[16];
    const char *path;
    json_t *nvrtc = json_object();
    gen_nvrtc_search_report(&tried);
    if (gen_nvrtc_version(version, &path, &error) == 0) {
        json_object_set_new(nvrtc, "version", json_string(version));
        json_object_set_new(nvrtc, "path", json_string(path));
    } else {
        json_object_set_new(nvrtc, "error", json_string(error.text));
        add_missing(report, "NVRTC 12.8 or newer, to compile kernels",
                    "make deps   (or: pip install --target build/nvrtc "
                    "nvidia-cuda-nvrtc; or: export TESSERA_NVRTC=/path/to/"
                    "libnvrtc.so)");
    }
    json_object_set_new(nvrtc, "tried", text_lines(tried.data));
    json_object_set_new(report, "nvrtc", nvrtc);
    tsr__buffer_release(&tried);
}

static json_t *device_json(int index, const struct tsr_device_info *info)
{
    char name[24];
    snprintf(name, sizeof name, "cuda:%d", index);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:i, s:i, s:i}",
        "device", name, "name", info->name, "arch", info->arch, "uuid",
        info->uuid, "mig", info->mig, "sm_count", info->sm_count,
        "memory_bytes", (json_int_t)info->memory_bytes, "l2_bytes",
        (json_int_t)info->l2_bytes, "shared_per_block",
        (json_int_t)info->shared_per_block, "shared_per_sm",
        (json_int_t)info->shared_per_sm, "registers_per_sm",
        info->registers_per_sm, "clock_khz", info->clock_khz,
        "memory_clock_khz", info->memory_clock_khz);
}

static void examine_driver(json_t *report)
{
    struct tsr_cuda_driver_info driver;
    struct tsr_error error = {0};
    json_t *object = json_object(), *devices = json_array();
    if (tsr__cuda_driver_info(&driver, &error) == 0) {
        json_object_set_new(object, "path", json_string(driver.path));
        json_object_set_new(object, "cuda_version",
                            json_integer(driver.version));
        for (int i = 0; i < driver.device_count; i++) {
            struct tsr_device_info info;
            if (tsr__cuda_device_info(i, &info, &error) == 0)
                json_array_append_new(devices, device_json(i, &info));
        }
    }
    if (error.text[0]) {
        json_object_set_new(object, "error", json_string(error.text));
        add_missing(report, "a CUDA driver, to run on a GPU (optional)",
                    "install the NVIDIA driver, 580 or newer (Debian: apt "
                    "install nvidia-driver); until then --device "
                    "emulator:sm_90a runs everything");
    }
    json_object_set_new(report, "driver", object);
    json_object_set_new(report, "devices", devices);
}

/* A driver runs cubins of its own CUDA major version and older ones. */
static void examine_match(json_t *report)
{
    const json_t *nvrtc = json_object_get(report, "nvrtc");
    const json_t *driver = json_object_get(report, "driver");
    long long nvrtc_major = atoll(text_of(nvrtc, "version"));
    long long driver_major = number_of(driver, "cuda_version") / 1000;
    if (driver_major && nvrtc_major > driver_major)
        add_missing(report,
                    "a driver as new as NVRTC: this one does not load what "
                    "NVRTC compiles",
                    "update the NVIDIA driver (CUDA 13 needs 580), or use the "
                    "older NVRTC: pip install --target build/nvrtc "
                    "'nvidia-cuda-nvrtc-cu12>=12.8'");
}

static const char *isa_name(enum emu_isa isa)
{
    switch (isa) {
    case EMU_ISA_V4:
        return "AVX-512 with VNNI";
    case EMU_ISA_V3:
        return "AVX2";
    default:
        return "portable C";
    }
}

static void examine_machine(json_t *report)
{
    struct utsname system;
    uname(&system);
    json_object_set_new(report, "machine",
                        json_pack("{s:s, s:s, s:I, s:s}", "system",
                                  system.sysname, "processor", system.machine,
                                  "cpus",
                                  (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
                                  "emulator_uses", isa_name(emu_isa_best())));
}

static void examine_libraries(json_t *report)
{
    json_object_set_new(report, "libraries",
                        json_pack("{s:s, s:s, s:s}", "lua", gen_lua_version(),
                                  "sqlite", sqlite3_libversion(), "jansson",
                                  jansson_version_str()));
}

/* The GPUs that the emulator stands for. */
static void examine_emulator(json_t *report)
{
    json_t *devices = json_array();
#define EMULATED(arch, name, ...)                                    \
    json_array_append_new(devices, json_pack("{s:s, s:s}", "device", \
                                             "emulator:" arch, "name", name));
    TSR_EMULATED_GPU_LIST(EMULATED)
#undef EMULATED
    json_object_set_new(report, "emulated", devices);
}

static void examine_cache(json_t *report)
{
    struct gen_cache_usage usage;
    struct tsr_error error = {0};
    json_t *cache;
    if (gen_cache_measure(&usage, &error) == 0)
        cache = json_pack("{s:s, s:I, s:I, s:I}", "path", usage.path, "entries",
                          (json_int_t)usage.entries, "bytes",
                          (json_int_t)usage.bytes, "limit_bytes",
                          (json_int_t)usage.limit);
    else
        cache = json_pack("{s:s}", "error", error.text);
    json_object_set_new(report, "cache", cache);
}

static void print_nvrtc(const json_t *nvrtc)
{
    if (json_object_get(nvrtc, "path")) {
        printf("nvrtc      %s, %s\n", text_of(nvrtc, "version"),
               text_of(nvrtc, "path"));
        return;
    }
    printf("nvrtc      none; looked at\n");
    const json_t *tried = json_object_get(nvrtc, "tried");
    for (size_t i = 0; i < json_array_size(tried); i++)
        printf("             %s\n",
               json_string_value(json_array_get(tried, i)));
}

static void print_driver(const json_t *report)
{
    const json_t *driver = json_object_get(report, "driver");
    const json_t *devices = json_object_get(report, "devices");
    long long version = number_of(driver, "cuda_version");
    if (version)
        printf("driver     CUDA %lld.%lld, %s\n", version / 1000,
               version % 1000 / 10, text_of(driver, "path"));
    else
        printf("driver     none (%s)\n", text_of(driver, "error"));
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        printf("  %-8s %s, %s, %lld SMs, %.1f GiB, %lld KiB shared per block, "
               "%lld MHz%s\n",
               text_of(device, "device"), text_of(device, "name"),
               text_of(device, "arch"), number_of(device, "sm_count"),
               (double)number_of(device, "memory_bytes") / 0x1p30,
               number_of(device, "shared_per_block") / 1024,
               number_of(device, "clock_khz") / 1000,
               json_is_true(json_object_get(device, "mig")) ? ", MIG slice"
                                                            : "");
    }
}

static void print_emulated(const json_t *report)
{
    const json_t *devices = json_object_get(report, "emulated");
    printf("emulated  ");
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        printf("%s %s (%s)", i ? "," : "", text_of(device, "device"),
               text_of(device, "name"));
    }
    printf("\n");
}

static void print_rest(const json_t *report)
{
    const json_t *machine = json_object_get(report, "machine");
    const json_t *libraries = json_object_get(report, "libraries");
    const json_t *cache = json_object_get(report, "cache");
    printf("machine    %s %s, %lld CPUs; the emulator uses %s\n",
           text_of(machine, "system"), text_of(machine, "processor"),
           number_of(machine, "cpus"), text_of(machine, "emulator_uses"));
    printf("libraries  Lua %s, SQLite %s, jansson %s\n",
           text_of(libraries, "lua"), text_of(libraries, "sqlite"),
           text_of(libraries, "jansson"));
    if (json_object_get(cache, "path"))
        printf("cache      %s, %lld kernels, %.1f of %.0f MiB\n",
               text_of(cache, "path"), number_of(cache, "entries"),
               (double)number_of(cache, "bytes") / 0x1p20,
               (double)number_of(cache, "limit_bytes") / 0x1p20);
    else
        printf("cache      none (%s)\n", text_of(cache, "error"));
}

static void print_report(const json_t *report)
{
    const json_t *missing = json_object_get(report, "missing");
    printf("tessera    %s\n", text_of(report, "tessera"));
    print_nvrtc(json_object_get(report, "nvrtc"));
    print_driver(report);
    print_emulated(report);
    print_rest(report);
    for (size_t i = 0; i < json_array_size(missing); i++) {
        const json_t *item = json_array_get(missing, i);
        printf("missing    %s\n           %s\n", text_of(item, "what"),
               text_of(item, "get"));
    }
    printf("%s\n", json_is_true(json_object_get(report, "usable"))
                       ? "ready"
                       : "not usable yet");
}

int command_doctor(int argc, char **argv)
{
    struct command command;
    int status = command_begin(&command, argc, argv, options, "doctor",
                               "Says what is here, what is missing, and how "
                               "to get it.");
    if (status >= 0)
        return status;
    if (command.word_count > 0)
        return command_end(&command,
                           TSR_FAIL(&command.err, TSR_EUSAGE,
                                    "'%s' is not expected; doctor takes only "
                                    "options",
                                    command.words[0]));
    json_t *report =
        json_pack("{s:s, s:[]}", "tessera", TSR_VERSION, "missing");
    examine_nvrtc(report);
    examine_driver(report);
    examine_match(report);
    examine_emulator(report);
    examine_machine(report);
    examine_libraries(report);
    examine_cache(report);
    int usable =
        json_object_get(json_object_get(report, "nvrtc"), "path") != NULL;
    json_object_set_new(report, "usable", json_boolean(usable));
    if (command.json)
        command_print_json(json_incref(report));
    else
        print_report(report);
    json_decref(report);
    /* The report has said it all: no second line about what is missing. */
    command_end(&command, 0);
    return usable ? 0 : 1;
}
