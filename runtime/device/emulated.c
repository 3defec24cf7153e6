/* emulated.c -- the PTX emulator as a device.
**
** Everything is synchronous: a launch has run when the call returns, a stream
** is only a place where launches may be recorded into a graph instead, an
** event is the CPU time of this process.
*/
#include "runtime/device/emulated.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/memory.h"
#include "runtime/device/gpus.h"
#include "runtime/device/implementation.h"

struct emulated_device {
    struct tsr_device base;
    struct emu_memory *memory;
    struct emu_options options;
    const uint64_t *blocks;
    size_t block_count;
    pthread_mutex_t lock; /* of counts */
    struct emu_counts counts;
};

struct emulated_function {
    struct tsr_function base;
    const struct emu_kernel *kernel;
    struct emu_kernel_info info;
    struct emulated_function *next;
};

struct emulated_module {
    struct tsr_module base;
    struct emu_module *module;
    struct emulated_function *functions;
};

/* One launch of a graph: its arguments follow it in memory. */
struct recorded_launch {
    struct emulated_function *function;
    struct tsr_launch_shape shape;
    struct recorded_launch *next;
    unsigned char arguments[];
};

struct emulated_graph {
    struct tsr_graph base;
    struct recorded_launch *first;
    struct recorded_launch **last;
};

struct emulated_stream {
    struct tsr_stream base;
    struct emulated_graph *recording;
};

struct emulated_event {
    struct tsr_event base;
    double seconds; /* CPU time of the process */
    int recorded;
};

static struct emulated_device *device_of(struct tsr_device *device)
{
    return (struct emulated_device *)device;
}

static int no_memory(struct tsr_error *err)
{
    return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
}

/* ---- memory ---------------------------------------------------------------*/

static void device_free(struct tsr_device *device)
{
    struct emulated_device *self = device_of(device);
    emu_memory_free(self->memory);
    pthread_mutex_destroy(&self->lock);
    tsr__free(self);
}

static int memory_alloc(struct tsr_device *device, size_t bytes,
                        const char *label, tsr_device_ptr *out,
                        struct tsr_error *err)
{
    if (bytes > device->info.memory_bytes)
        return TSR_FAIL(err, TSR_EMEMORY,
                        "out of device memory: %zu bytes for '%s', the %s has "
                        "%zu in all",
                        bytes, label ? label : "buffer", device->info.name,
                        device->info.memory_bytes);
    return emu_memory_alloc(device_of(device)->memory, bytes, label, out, err);
}

static int memory_release(struct tsr_device *device, tsr_device_ptr pointer,
                          struct tsr_error *err)
{
    return emu_memory_release(device_of(device)->memory, pointer, err);
}

/* The host's view of a range, or an error that names the misuse. */
static int host_view(struct tsr_device *device, tsr_device_ptr at, size_t bytes,
                     void **out, struct tsr_error *err)
{
    void *view = emu_memory_host(device_of(device)->memory, at, bytes);
    if (!view)
        return TSR_FAIL(err, TSR_EDEVICE,
                        "%zu bytes at 0x%llx are not inside one allocation",
                        bytes, (unsigned long long)at);
    *out = view;
    return 0;
}

static int memory_write(struct tsr_device *device, tsr_device_ptr to,
                        const void *from, size_t bytes, struct tsr_error *err)
{
    void *view;
    int rc = host_view(device, to, bytes, &view, err);
    if (rc == 0)
        memcpy(view, from, bytes);
    return rc;
}

static int memory_read(struct tsr_device *device, void *to, tsr_device_ptr from,
                       size_t bytes, struct tsr_error *err)
{
    void *view;
    int rc = host_view(device, from, bytes, &view, err);
    if (rc == 0)
        memcpy(to, view, bytes);
    return rc;
}

static int memory_fill(struct tsr_device *device, tsr_device_ptr to,
                       unsigned char value, size_t bytes, struct tsr_error *err)
{
    void *view;
    int rc = host_view(device, to, bytes, &view, err);
    if (rc == 0)
        memset(view, value, bytes);
    return rc;
}

static int synchronize(struct tsr_device *device, struct tsr_error *err)
{
    (void)device;
    (void)err;
    return 0;
}

/* ---- modules and launches -------------------------------------------------*/

static int module_load(struct tsr_device *device, const void *image,
                       size_t size, struct tsr_module **out,
                       struct tsr_error *err)
{
    static const unsigned char elf[4] = {0x7f, 'E', 'L', 'F'};
    if (size >= sizeof elf && memcmp(image, elf, sizeof elf) == 0)
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "the emulator runs PTX; this is machine code (ELF)");
    struct emulated_module *module = tsr__calloc(1, sizeof *module);
    if (!module)
        return no_memory(err);
    size_t text = strnlen(image, size); /* PTX may come with its NUL */
    int rc = emu_module_load(&module->module, device_of(device)->memory, image,
                             text, "kernel.ptx", err);
    if (rc) {
        tsr__free(module);
        return rc;
    }
    module->base.device = device;
    *out = &module->base;
    return 0;
}

static void module_free(struct tsr_module *base)
{
    struct emulated_module *module = (struct emulated_module *)base;
    while (module->functions) {
        struct emulated_function *next = module->functions->next;
        tsr__free(module->functions);
        module->functions = next;
    }
    emu_module_free(module->module);
    tsr__free(module);
}

static int module_function(struct tsr_module *base, const char *name,
                           uint32_t shared_bytes, struct tsr_function **out,
                           struct tsr_error *err)
{
    struct emulated_module *module = (struct emulated_module *)base;
    const struct tsr_device_info *gpu = &base->device->info;
    const struct emu_kernel *kernel = emu_module_kernel(module->module, name);
    if (!kernel)
        return TSR_FAIL(err, TSR_ENOTFOUND, "the module has no kernel '%s'",
                        name);
    struct emulated_function *function = tsr__calloc(1, sizeof *function);
    if (!function)
        return no_memory(err);
    function->kernel = kernel;
    emu_kernel_info(kernel, &function->info);
    if (function->info.shared_static + shared_bytes > gpu->shared_per_block) {
        int rc = TSR_FAIL(err, TSR_EUNSUPPORTED,
                          "'%s' needs %zu bytes of shared memory, a block on "
                          "%s has at most %zu",
                          name, function->info.shared_static + shared_bytes,
                          gpu->name, gpu->shared_per_block);
        tsr__free(function);
        return rc;
    }
    function->base.device = base->device;
    function->next = module->functions;
    module->functions = function;
    *out = &function->base;
    return 0;
}

static void add_counts(struct emulated_device *device,
                       const struct emu_counts *counts)
{
    pthread_mutex_lock(&device->lock);
    emu_counts_add(&device->counts, counts);
    pthread_mutex_unlock(&device->lock);
}

static int fail_with_findings(const struct emulated_function *function,
                              const struct emu_report *report,
                              struct tsr_error *err)
{
    struct tsr_buffer text = TSR_BUFFER_INIT;
    size_t faults = emu_report_faults(report);
    for (size_t i = 0; i < report->findings.count; i++)
        if (!emu_finding_is_note(report->findings.item[i].kind)) {
            emu_finding_print(&report->findings.item[i], &text);
            break;
        }
    while (text.size && text.data[text.size - 1] == '\n')
        text.data[--text.size] = 0;
    int rc =
        TSR_FAIL(err, TSR_EFINDING, "kernel '%s': %s%s", function->info.name,
                 text.data ? text.data : "", faults > 1 ? " (and more)" : "");
    tsr__buffer_release(&text);
    return rc;
}

static int run(struct emulated_function *function,
               const struct tsr_launch_shape *shape, const void *arguments,
               struct tsr_error *err)
{
    struct emulated_device *device = device_of(function->base.device);
    struct emu_report report;
    memset(&report, 0, sizeof report);
    struct emu_launch launch = {
        .kernel = function->kernel,
        .shared = shape->shared_bytes,
        .arguments = arguments,
        .argument_bytes = function->info.argument_bytes,
        .blocks = device->blocks,
        .block_count = device->block_count,
    };
    memcpy(launch.grid, shape->grid, sizeof launch.grid);
    memcpy(launch.block, shape->block, sizeof launch.block);
    int rc = emu_launch_run(&launch, &device->options, &report, err);
    if (rc == 0 && emu_report_faults(&report))
        rc = fail_with_findings(function, &report, err);
    if (rc == 0 && device->options.counts)
        add_counts(device, &report.counts);
    emu_report_release(&report);
    return rc;
}

/* Lays the arguments out as the driver does: one after the other, each at the
** offset its type asks for. */
static void lay_out(const struct emulated_function *function, void **arguments,
                    unsigned char *block)
{
    for (size_t i = 0; i < function->info.parameter_count; i++) {
        const struct emu_parameter *parameter = &function->info.parameters[i];
        memcpy(block + parameter->offset, arguments[i], parameter->bytes);
    }
}

static int launch(struct tsr_function *base,
                  const struct tsr_launch_shape *shape,
                  struct tsr_stream *stream, void **arguments,
                  struct tsr_error *err)
{
    struct emulated_function *function = (struct emulated_function *)base;
    struct emulated_graph *graph =
        stream ? ((struct emulated_stream *)stream)->recording : NULL;
    unsigned char block[4352]; /* PTX allows 4352 bytes of parameters */
    if (function->info.argument_bytes > sizeof block)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "kernel '%s' takes %zu bytes of "
                        "parameters, more than %zu",
                        function->info.name, function->info.argument_bytes,
                        sizeof block);
    lay_out(function, arguments, block);
    if (!graph)
        return run(function, shape, block, err);
    struct recorded_launch *recorded =
        tsr__malloc(sizeof *recorded + function->info.argument_bytes);
    if (!recorded)
        return no_memory(err);
    recorded->function = function;
    recorded->shape = *shape;
    recorded->next = NULL;
    memcpy(recorded->arguments, block, function->info.argument_bytes);
    *graph->last = recorded;
    graph->last = &recorded->next;
    return 0;
}

/* ---- streams, events, graphs ----------------------------------------------*/

static int stream_create(struct tsr_device *device, struct tsr_stream **out,
                         struct tsr_error *err)
{
    struct emulated_stream *stream = tsr__calloc(1, sizeof *stream);
    if (!stream)
        return no_memory(err);
    stream->base.device = device;
    *out = &stream->base;
    return 0;
}

static void graph_free(struct tsr_graph *base)
{
    struct emulated_graph *graph = (struct emulated_graph *)base;
    while (graph->first) {
        struct recorded_launch *next = graph->first->next;
        tsr__free(graph->first);
        graph->first = next;
    }
    tsr__free(graph);
}

static void stream_free(struct tsr_stream *base)
{
    struct emulated_stream *stream = (struct emulated_stream *)base;
    if (stream->recording)
        graph_free(&stream->recording->base);
    tsr__free(stream);
}

static int event_create(struct tsr_device *device, struct tsr_event **out,
                        struct tsr_error *err)
{
    struct emulated_event *event = tsr__calloc(1, sizeof *event);
    if (!event)
        return no_memory(err);
    event->base.device = device;
    *out = &event->base;
    return 0;
}

static void event_free(struct tsr_event *event)
{
    tsr__free(event);
}

static int event_record(struct tsr_event *base, struct tsr_stream *stream,
                        struct tsr_error *err)
{
    struct emulated_event *event = (struct emulated_event *)base;
    struct timespec now;
    (void)stream;
    (void)err;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    event->seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    event->recorded = 1;
    return 0;
}

static int event_elapsed(struct tsr_event *start, struct tsr_event *stop,
                         double *milliseconds, struct tsr_error *err)
{
    struct emulated_event *from = (struct emulated_event *)start;
    struct emulated_event *to = (struct emulated_event *)stop;
    if (!from->recorded || !to->recorded)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "an event was not recorded before it was read");
    *milliseconds = (to->seconds - from->seconds) * 1e3;
    return 0;
}

static int graph_begin(struct tsr_stream *base, struct tsr_error *err)
{
    struct emulated_stream *stream = (struct emulated_stream *)base;
    if (stream->recording)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "the stream is already recording a graph");
    struct emulated_graph *graph = tsr__calloc(1, sizeof *graph);
    if (!graph)
        return no_memory(err);
    graph->base.device = stream->base.device;
    graph->last = &graph->first;
    stream->recording = graph;
    return 0;
}

static int graph_end(struct tsr_stream *base, struct tsr_graph **out,
                     struct tsr_error *err)
{
    struct emulated_stream *stream = (struct emulated_stream *)base;
    if (!stream->recording)
        return TSR_FAIL(err, TSR_EUSAGE, "the stream records no graph");
    *out = &stream->recording->base;
    stream->recording = NULL;
    return 0;
}

static int graph_launch(struct tsr_graph *base, struct tsr_stream *stream,
                        struct tsr_error *err)
{
    struct emulated_graph *graph = (struct emulated_graph *)base;
    int rc = 0;
    (void)stream;
    for (struct recorded_launch *l = graph->first; l && rc == 0; l = l->next)
        rc = run(l->function, &l->shape, l->arguments, err);
    return rc;
}

/* ---- opening --------------------------------------------------------------*/

static const struct tsr_device_ops emulated_ops = {
    .device_free = device_free,
    .alloc = memory_alloc,
    .release = memory_release,
    .write = memory_write,
    .read = memory_read,
    .fill = memory_fill,
    .synchronize = synchronize,
    .module_load = module_load,
    .module_free = module_free,
    .module_function = module_function,
    .launch = launch,
    .stream_create = stream_create,
    .stream_free = stream_free,
    .event_create = event_create,
    .event_free = event_free,
    .event_record = event_record,
    .event_elapsed = event_elapsed,
    .graph_begin = graph_begin,
    .graph_end = graph_end,
    .graph_launch = graph_launch,
    .graph_free = graph_free,
};

static const struct gpu {
    const char *arch, *name;
    int major, minor, sms, shared_sm, shared_block, l2, memory, mhz;
} gpus[] = {
#define X(arch, name, major, minor, sms, sm, block, l2, gib, mhz) \
    {arch, name, major, minor, sms, sm, block, l2, gib, mhz},
    TSR_EMULATED_GPU_LIST(X)
#undef X
};

#define X(arch, ...) " " arch
#define ALL_ARCHS    TSR_EMULATED_GPU_LIST(X)

static void describe(const struct gpu *gpu, struct tsr_device_info *info)
{
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", gpu->name);
    snprintf(info->arch, sizeof info->arch, "%s", gpu->arch);
    snprintf(info->uuid, sizeof info->uuid, "emulator:%s", gpu->arch);
    info->emulated = 1;
    info->capability_major = gpu->major;
    info->capability_minor = gpu->minor;
    info->sm_count = gpu->sms;
    info->clock_khz = gpu->mhz * 1000;
    info->memory_bytes = (size_t)gpu->memory << 30;
    info->l2_bytes = (size_t)gpu->l2 << 20;
    info->shared_per_block = (size_t)gpu->shared_block << 10;
    info->shared_per_sm = (size_t)gpu->shared_sm << 10;
    info->registers_per_sm = 65536;
}

int tsr__emulated_open(const char *arch, struct tsr_device **out,
                       struct tsr_error *err)
{
    const struct gpu *gpu = NULL;
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++)
        if (strcmp(gpus[i].arch, arch) == 0)
            gpu = &gpus[i];
    if (!gpu)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "unknown device 'emulator:%s': the emulator knows%s",
                        arch, ALL_ARCHS);
    struct emulated_device *device = tsr__calloc(1, sizeof *device);
    if (!device)
        return no_memory(err);
    int rc = emu_memory_create(&device->memory, err);
    if (rc) {
        tsr__free(device);
        return rc;
    }
    pthread_mutex_init(&device->lock, NULL);
    device->base.ops = &emulated_ops;
    describe(gpu, &device->base.info);
    device->options = (struct emu_options)EMU_OPTIONS_DEFAULT;
    device->options.shared_limit = (uint32_t)gpu->shared_block << 10;
    *out = &device->base;
    return 0;
}

/* ---- beyond device.h ------------------------------------------------------*/

struct emu_options *tsr__emulated_options(struct tsr_device *device)
{
    return device->info.emulated ? &device_of(device)->options : NULL;
}

void tsr__emulated_select(struct tsr_device *device, const uint64_t *blocks,
                          size_t count)
{
    device_of(device)->blocks = blocks;
    device_of(device)->block_count = count;
}

void tsr__emulated_take_counts(struct tsr_device *device,
                               struct emu_counts *out)
{
    struct emulated_device *self = device_of(device);
    pthread_mutex_lock(&self->lock);
    *out = self->counts;
    memset(&self->counts, 0, sizeof self->counts);
    pthread_mutex_unlock(&self->lock);
}

struct emu_memory *tsr__emulated_memory(struct tsr_device *device)
{
    return device->info.emulated ? device_of(device)->memory : NULL;
}
