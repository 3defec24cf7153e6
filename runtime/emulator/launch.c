/* launch.c -- runs a grid: blocks over workers, seeds over schedules.
**
** Each worker is a host thread with blocks of its own. A block that is not
** done after a long turn may be waiting for one that has not begun (a spin on
** a flag in global memory), so its worker takes on another and goes round
** among them.
*/
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/checked.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/exec.h"
#include "runtime/emulator/handlers.h"
#include "runtime/emulator/kernel.h"
#include "runtime/emulator/random.h"

#define TURN             4096 /* ops of a warp, then the next one */
#define PATIENCE         (UINT64_C(1) << 16) /* ops of a block, then another; */
#define PATIENCE_DOUBLES 6                   /* twice as many, this often */
#define MAX_RESIDENT     256
#define MAX_WORKERS      64
#define DEFAULT_SHARED   (227 * 1024)
#define DEFAULT_FINDINGS 100
#define NO_BLOCK         UINT64_MAX

int emu_warp_perturb(const struct emu_warp *warp)
{
    return warp->block->run->options.perturb_ulp;
}

/* -- a worker ------------------------------------------------------------- */

/* The next block nobody has taken, or NO_BLOCK. */
static uint64_t next_block(struct emu_run *run)
{
    const struct emu_launch *launch = run->launch;
    for (;;) {
        uint64_t at = __atomic_fetch_add(&run->next, 1, __ATOMIC_RELAXED);
        if (at >= run->block_total)
            return NO_BLOCK;
        if (run->order)
            at = run->order[at];
        uint64_t linear = launch->blocks ? launch->blocks[at] : at;
        if (linear <= __atomic_load_n(&run->stop_at, __ATOMIC_RELAXED))
            return linear;
        if (run->order)
            continue;
        return NO_BLOCK;
    }
}

/* Rounds until the block ends or patience does. 1: it ended. */
static int advance(struct emu_block *block)
{
    struct emu_run *run = block->run;
    /* Nothing can wait for another block without strong loads or atomics. */
    uint64_t until = UINT64_MAX;
    if (run->kernel->ordered) {
        until = block->executed + (PATIENCE << block->visits);
        block->visits += block->visits < PATIENCE_DOUBLES;
    }
    while (block->executed < until) {
        if (emu_block_round(block, TURN))
            return 1;
        if (block->linear > __atomic_load_n(&run->stop_at, __ATOMIC_RELAXED))
            block->stopped = 1;
    }
    return 0;
}

static int admit(struct emu_worker *worker, uint32_t *resident, int *exhausted)
{
    uint64_t linear = next_block(worker->run);
    if (linear == NO_BLOCK) {
        *exhausted = 1;
        return 0;
    }
    struct emu_block *block = &worker->block[*resident];
    if (!block->worker && emu_block_open(block, worker))
        return -1;
    ++*resident;
    return emu_block_begin(block, linear);
}

static void swap(struct emu_block *a, struct emu_block *b)
{
    struct emu_block t = *a;
    *a = *b;
    *b = t;
    for (uint32_t i = 0; i < a->warp_count; i++)
        a->warp[i].block = a;
    for (uint32_t i = 0; i < b->warp_count; i++)
        b->warp[i].block = b;
}

/* Ends the launch at the first of the resident blocks. */
static void expire(struct emu_worker *worker, uint32_t resident)
{
    struct emu_block *first = &worker->block[0];
    for (uint32_t i = 1; i < resident; i++)
        if (worker->block[i].linear < first->linear)
            first = &worker->block[i];
    emu_block_expire(first);
    __atomic_store_n(&worker->run->next, worker->run->block_total,
                     __ATOMIC_RELAXED);
}

static int work(struct emu_worker *worker)
{
    uint32_t resident = 0;
    uint64_t idle = 0; /* operations since a block last ended */
    int exhausted = 0;
    for (;;) {
        /* One more each time round, and always one. */
        if (!exhausted && resident < MAX_RESIDENT &&
            admit(worker, &resident, &exhausted))
            return -1;
        if (resident == 0) {
            if (exhausted)
                return 0;
            continue;
        }
        for (uint32_t i = 0; i < resident;) {
            struct emu_block *block = &worker->block[i];
            uint64_t before = block->executed;
            if (!advance(block)) {
                idle += block->executed - before;
                i++;
                continue;
            }
            if (worker->failed)
                return -1;
            idle = 0;
            if (i != --resident)
                swap(&worker->block[i], &worker->block[resident]);
        }
        if (worker->failed)
            return -1;
        /* All wait for each other, or for a block that cannot be had. */
        if (idle / 4 > worker->run->limit && resident) {
            expire(worker, resident);
            idle = 0;
        }
    }
}

static void *worker_main(void *argument)
{
    struct emu_worker *worker = argument;
    if (work(worker))
        worker->failed = 1;
    return NULL;
}

static int worker_open(struct emu_worker *worker, struct emu_run *run,
                       struct tsr_error *err)
{
    int rc;
    worker->run = run;
    worker->block = tsr__calloc(MAX_RESIDENT, sizeof *worker->block);
    if (!worker->block)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    worker->block_count = MAX_RESIDENT;
    if (run->options.counts) {
        worker->executions =
            tsr__calloc(run->count_total + 1, sizeof(uint64_t));
        worker->lanes = tsr__calloc(run->count_total + 1, sizeof(uint64_t));
        if (!worker->executions || !worker->lanes)
            return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    }
    rc = emu_hazards_add_worker(run->hazards, &worker->hazards, err);
    return rc;
}

static void worker_close(struct emu_worker *worker)
{
    for (uint32_t i = 0; worker->block && i < worker->block_count; i++)
        if (worker->block[i].worker)
            emu_block_close(&worker->block[i]);
    tsr__free(worker->block);
    tsr__free(worker->executions);
    tsr__free(worker->lanes);
    tsr__buffer_release(&worker->output);
}

/* -- one schedule --------------------------------------------------------- */

static void collect_counts(struct emu_run *run, struct emu_worker *worker,
                           struct emu_report *report)
{
    const struct ptx_module *ptx = run->kernel->module->ptx;
    for (int f = 0; f < ptx->function_count; f++) {
        size_t at = run->count_base[f];
        emu_count_instructions(&worker->counts, &ptx->functions[f],
                               worker->executions + at, worker->lanes + at);
    }
    emu_counts_add(&report->counts, &worker->counts);
}

/* Drops what blocks after the first stopped one found: whether they ran at
** all depends on the threads. */
static void drop_late(struct emu_findings *findings, uint64_t stop_at)
{
    size_t kept = 0;
    for (size_t i = 0; i < findings->count; i++) {
        if (findings->item[i].block > stop_at)
            tsr__free(findings->item[i].message);
        else
            findings->item[kept++] = findings->item[i];
    }
    findings->count = kept;
}

static int finish(struct emu_run *run, struct emu_worker *worker, int workers,
                  struct emu_report *report, struct tsr_error *err)
{
    struct emu_findings found = {0};
    int rc = emu_hazards_finish(run->hazards, &found, err);
    if (run->stop_at != NO_BLOCK)
        drop_late(&found, run->stop_at);
    emu_findings_merge(&report->findings, &found);
    emu_findings_release(&found);
    for (int i = 0; i < workers; i++) {
        report->warp_instructions += worker[i].executed;
        if (run->options.counts)
            collect_counts(run, &worker[i], report);
        if (run->seed == run->options.seed) /* the first schedule */
            tsr__buffer_add(&report->output, worker[i].output.data,
                            worker[i].output.size);
    }
    return rc;
}

static int start_all(struct emu_worker *worker, int workers,
                     struct tsr_error *err)
{
    pthread_t thread[MAX_WORKERS];
    int started = 1, failed = 0;
    for (; started < workers; started++)
        if (pthread_create(&thread[started], NULL, worker_main,
                           &worker[started]))
            break; /* fewer threads do the same work */
    worker_main(&worker[0]);
    for (int i = 1; i < started; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < workers; i++)
        failed |= worker[i].failed;
    if (failed)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory in the emulator");
    return 0;
}

static int worker_count(const struct emu_run *run)
{
    long threads = run->options.threads;
    if (run->kernel->ordered || run->block_total <= 1)
        return 1;
    if (threads <= 0)
        threads = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > MAX_WORKERS)
        threads = MAX_WORKERS;
    if ((uint64_t)threads > run->block_total)
        threads = (long)run->block_total;
    return threads < 1 ? 1 : (int)threads;
}

static int open_hazards(struct emu_run *run, struct tsr_error *err)
{
    const struct emu_launch *launch = run->launch;
    const struct emu_kernel *kernel = run->kernel;
    struct emu_hazard_setup setup = {
        .module = kernel->module->ptx,
        .function = kernel->function,
        .checks = run->options.checks,
        .ordered = kernel->ordered,
        .contraction_notes = run->options.contraction_notes,
        .grid = {launch->grid[0], launch->grid[1], launch->grid[2]},
        .block_threads = launch->block[0] * launch->block[1] * launch->block[2],
        .shared_bytes = run->shared_bytes,
        .local_bytes = run->local_bytes,
        .param_bytes = launch->argument_bytes,
        .variables = kernel->window,
        .variable_count = kernel->window_count,
        .find_region = emu_memory_find_region,
        .context = kernel->module->memory,
    };
    return emu_hazards_open(&run->hazards, &setup, err);
}

/* Where blocks depend on each other's order, it varies with the seed. */
static int make_order(struct emu_run *run, uint64_t **out,
                      struct tsr_error *err)
{
    *out = NULL;
    if (!run->kernel->ordered || run->seed == 0 || run->block_total < 2)
        return 0;
    uint64_t *order = tsr__malloc(run->block_total * sizeof *order);
    if (!order)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    uint64_t random = run->seed;
    for (uint64_t i = 0; i < run->block_total; i++)
        order[i] = i;
    for (uint64_t i = run->block_total; i > 1; i--) {
        uint64_t k = emu_random_next(&random) % i, t = order[i - 1];
        order[i - 1] = order[k];
        order[k] = t;
    }
    *out = order;
    return 0;
}

static int run_schedule(struct emu_run *run, struct emu_report *report,
                        struct tsr_error *err)
{
    struct emu_worker *worker = NULL;
    uint64_t *order = NULL;
    int workers = worker_count(run), rc;
    run->next = 0;
    run->stop_at = NO_BLOCK;
    run->hazards = NULL;
    if ((rc = make_order(run, &order, err)) || (rc = open_hazards(run, err)))
        goto done;
    run->order = order;
    worker = tsr__calloc((size_t)workers, sizeof *worker);
    if (!worker) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
        goto done;
    }
    for (int i = 0; i < workers; i++)
        if ((rc = worker_open(&worker[i], run, err)))
            goto done;
    if ((rc = start_all(worker, workers, err)))
        goto done;
    rc = finish(run, worker, workers, report, err);
done:
    for (int i = 0; worker && i < workers; i++)
        worker_close(&worker[i]);
    tsr__free(worker);
    tsr__free(order);
    emu_hazards_free(run->hazards);
    return rc;
}

/* -- what the launch asks for --------------------------------------------- */

static int check_shape(const struct emu_launch *launch, struct tsr_error *err)
{
    static const uint32_t most_grid[3] = {0x7fffffff, 65535, 65535};
    static const uint32_t most_block[3] = {1024, 1024, 64};
    const char *name = launch->kernel->function->name;
    for (int i = 0; i < 3; i++) {
        if (launch->grid[i] == 0 || launch->grid[i] > most_grid[i])
            return TSR_FAIL(err, TSR_EUSAGE,
                            "%s: grid dimension %c is %u; it must be 1 to %u",
                            name, 'x' + i, launch->grid[i], most_grid[i]);
        if (launch->block[i] == 0 || launch->block[i] > most_block[i])
            return TSR_FAIL(err, TSR_EUSAGE,
                            "%s: block dimension %c is %u; it must be 1 to "
                            "%u",
                            name, 'x' + i, launch->block[i], most_block[i]);
    }
    uint64_t threads =
        (uint64_t)launch->block[0] * launch->block[1] * launch->block[2];
    if (threads > 1024)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "%s: a block of %llu threads; 1024 is the most", name,
                        (unsigned long long)threads);
    struct emu_kernel_info info;
    emu_kernel_info(launch->kernel, &info);
    if (info.max_threads && threads > info.max_threads)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "%s: a block of %llu threads, but the kernel was "
                        "compiled for at most %u",
                        name, (unsigned long long)threads, info.max_threads);
    return 0;
}

static int check_launch(const struct emu_launch *launch, struct emu_run *run,
                        struct tsr_error *err)
{
    const struct emu_kernel *kernel = launch->kernel;
    uint32_t limit =
        run->options.shared_limit ? run->options.shared_limit : DEFAULT_SHARED;
    int rc = check_shape(launch, err);
    if (rc)
        return rc;
    uint64_t shared = (uint64_t)kernel->shared_static + launch->shared;
    if (shared > limit)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "%s: %llu bytes of shared memory (%u static); a block "
                        "can have %u",
                        kernel->function->name, (unsigned long long)shared,
                        kernel->shared_static, limit);
    if (launch->argument_bytes != kernel->argument_bytes)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "%s: %zu bytes of arguments, but its parameters take "
                        "%zu",
                        kernel->function->name, launch->argument_bytes,
                        kernel->argument_bytes);
    run->shared_bytes = (uint32_t)shared;
    run->local_bytes = (kernel->local_bytes + 15) & ~15u;
    run->block_total = (uint64_t)launch->grid[0] * launch->grid[1];
    if (run->block_total > UINT64_MAX / launch->grid[2])
        return TSR_FAIL(err, TSR_EUSAGE, "%s: the grid is too large",
                        kernel->function->name);
    run->block_total *= launch->grid[2];
    for (size_t i = 0; launch->blocks && i < launch->block_count; i++)
        if (launch->blocks[i] >= run->block_total ||
            (i && launch->blocks[i] <= launch->blocks[i - 1]))
            return TSR_FAIL(err, TSR_EUSAGE,
                            "%s: the chosen blocks must ascend and lie within "
                            "the grid",
                            kernel->function->name);
    if (launch->blocks)
        run->block_total = launch->block_count;
    return 0;
}

/* -- code for another instruction set ------------------------------------- */

static void free_codes(struct emu_code *codes, size_t count)
{
    for (size_t i = 0; codes && i < count; i++)
        tsr__free(codes[i].op);
    tsr__free(codes);
}

/* A copy of the module's code with other handlers. */
static int retarget(const struct emu_module *module, enum emu_isa isa,
                    struct emu_code **out, struct tsr_error *err)
{
    size_t count = (size_t)module->ptx->function_count;
    struct emu_code *codes = tsr__calloc(count + 1, sizeof *codes);
    if (!codes)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t f = 0; f < count; f++) {
        struct emu_code *code = &codes[f];
        *code = module->code[f];
        code->op = tsr__malloc((code->op_count + 1) * sizeof *code->op);
        if (!code->op) {
            free_codes(codes, f);
            return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
        }
        for (uint32_t i = 0; i < code->op_count; i++) {
            code->op[i] = module->code[f].op[i];
            code->op[i].run =
                emu_handler_find((enum emu_handler_id)code->handler[i], isa);
        }
    }
    *out = codes;
    return 0;
}

static enum emu_isa choose_isa(const struct emu_run *run)
{
    enum emu_isa best = run->kernel->module->isa;
    enum emu_isa cap = (enum emu_isa)run->options.isa;
    return cap != EMU_ISA_BEST && cap < best ? cap : best;
}

/* Where each function's counters begin. */
static int lay_out_counts(const struct emu_module *module, struct emu_run *run,
                          size_t **out, struct tsr_error *err)
{
    size_t count = (size_t)module->ptx->function_count, at = 0;
    size_t *base = tsr__calloc(count + 1, sizeof *base);
    if (!base)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t f = 0; f < count; f++) {
        base[f] = at;
        at += (size_t)module->ptx->functions[f].instruction_count;
    }
    run->count_base = base;
    run->count_total = at;
    *out = base;
    return 0;
}

/* -- schedules ------------------------------------------------------------ */

static void differ(const struct emu_run *run, uint64_t address,
                   struct emu_report *report)
{
    struct emu_region region = {.name = "memory"};
    emu_memory_find_region(run->kernel->module->memory, address, &region);
    struct emu_finding finding = {.kind = EMU_SCHEDULE, .address = address};
    emu_findings_add(&report->findings, &finding,
                     "%s+%llu has another value under seed %llu than under "
                     "the first",
                     region.name, (unsigned long long)(address - region.base),
                     (unsigned long long)run->seed);
}

static int run_schedules(struct emu_run *run, struct emu_report *report,
                         struct tsr_error *err)
{
    struct emu_memory *memory = run->kernel->module->memory;
    struct emu_snapshot *before = NULL, *first = NULL;
    int schedules = run->options.schedules, rc;
    uint64_t address;
    if (schedules <= 1)
        return run_schedule(run, report, err);
    if ((rc = emu_snapshot_take(&before, memory, err)) ||
        (rc = run_schedule(run, report, err)) ||
        (rc = emu_snapshot_take(&first, memory, err)))
        goto done;
    run->options.counts = 0;
    for (int i = 1; i < schedules; i++) {
        emu_snapshot_restore(before);
        run->seed = run->options.seed + (uint64_t)i;
        if ((rc = run_schedule(run, report, err)))
            goto done;
        /* Float atomics round in the order they come in. */
        if (!run->kernel->ordered && (address = emu_snapshot_compare(first)))
            differ(run, address, report);
    }
    emu_snapshot_restore(first);
done:
    emu_snapshot_free(before);
    emu_snapshot_free(first);
    return rc;
}

int emu_launch_run(const struct emu_launch *launch,
                   const struct emu_options *options, struct emu_report *report,
                   struct tsr_error *err)
{
    static const struct emu_options usual = EMU_OPTIONS_DEFAULT;
    struct emu_report ignored = {0};
    struct emu_span *span = NULL;
    struct emu_code *codes = NULL;
    size_t *count_base = NULL;
    const struct emu_module *module = launch->kernel->module;
    struct emu_run run = {.launch = launch, .kernel = launch->kernel};
    int rc;
    run.options = options ? *options : usual;
    run.seed = run.options.seed;
    run.limit = run.options.instruction_limit ? run.options.instruction_limit
                                              : EMU_LIMIT_DEFAULT;
    run.codes = module->code;
    if (!report)
        report = &ignored;
    if ((rc = check_launch(launch, &run, err)) ||
        (rc = emu_memory_spans(module->memory, &span, &run.span_count, err)) ||
        (rc = lay_out_counts(module, &run, &count_base, err)))
        goto done;
    run.span = span;
    enum emu_isa isa = choose_isa(&run);
    if (isa != module->isa) {
        if ((rc = retarget(module, isa, &codes, err)))
            goto done;
        run.codes = codes;
    }
    run.code = &run.codes[launch->kernel->code];
    rc = run_schedules(&run, report, err);
    emu_findings_sort(&report->findings, run.options.finding_limit
                                             ? run.options.finding_limit
                                             : DEFAULT_FINDINGS);
    if (!rc && (report->findings.failed || report->output.failed))
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory for the report");
done:
    free_codes(codes, (size_t)module->ptx->function_count);
    tsr__free(count_base);
    tsr__free(span);
    emu_report_release(&ignored);
    return rc;
}
