/* emulator.h -- runs PTX on the host: the face that everything else sees.
**
**     emu_memory   device memory: named allocations with guard zones
**     emu_module   PTX text, parsed and decoded; its .global and .const
**                  variables live in the memory it was loaded into
**     emu_kernel   an entry of a module
**     emu_launch_run(launch, options, report)
**
** Guest addresses of global memory are the host addresses of the bytes, so a
** host may fill buffers in place; but a kernel can only reach bytes inside a
** living allocation, whatever it computes: every access is checked, with
** checks on or off. Shared, local and parameter memory have generic windows of
** their own, far from any host address.
**
** A kernel never crashes or hangs the caller: faults become findings, loops
** end at options.instruction_limit. Results, findings and counts do not depend
** on the number of threads.
**
** An emu_memory may be used by several threads; launches on one memory may
** overlap as long as nobody frees an allocation during a launch.
*/
#ifndef TSR_EMULATOR_EMULATOR_H
#define TSR_EMULATOR_EMULATOR_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/buffer.h"
#include "runtime/base/error.h"
#include "runtime/emulator/counts.h"
#include "runtime/emulator/findings.h"

/* ---- memory -------------------------------------------------------------- */

struct emu_memory;

/* Bytes on either side of an allocation that belong to nobody. */
#define EMU_GUARD_BYTES 256

int emu_memory_create(struct emu_memory **out, struct tsr_error *err);
void emu_memory_free(struct emu_memory *memory);

/* 256-byte aligned, filled with 0xA5 (a kernel must not rely on zero). `name`
** is for findings and is copied; NULL calls it "buffer". bytes may be 0. */
int emu_memory_alloc(struct emu_memory *memory, size_t bytes, const char *name,
                     uint64_t *address, struct tsr_error *err);
/* `address` as emu_memory_alloc gave it. The range is remembered, so that a
** later access is told from a wild one. */
int emu_memory_release(struct emu_memory *memory, uint64_t address,
                       struct tsr_error *err);
/* Kernels may read but not write this allocation. */
int emu_memory_set_read_only(struct emu_memory *memory, uint64_t address,
                             int read_only, struct tsr_error *err);
/* Host view of [address, address + bytes), or NULL when that is not inside one
** living allocation. */
void *emu_memory_host(struct emu_memory *memory, uint64_t address,
                      size_t bytes);

/* ---- modules ------------------------------------------------------------- */

struct emu_module;
struct emu_kernel;

/* Parses and decodes `size` bytes of PTX; `name` is for messages. TSR_EFORMAT
** for bad PTX, TSR_EUNSUPPORTED for an opcode or modifier that is not taken,
** both as "name:line: ...". The module must be freed before its memory. */
int emu_module_load(struct emu_module **out, struct emu_memory *memory,
                    const char *text, size_t size, const char *name,
                    struct tsr_error *err);
void emu_module_free(struct emu_module *module);

/* NULL when the module has no such entry; `name` NULL: its only entry. */
const struct emu_kernel *emu_module_kernel(const struct emu_module *module,
                                           const char *name);
/* Entry number `index`, or NULL past the last. */
const struct emu_kernel *emu_module_entry(const struct emu_module *module,
                                          size_t index);
/* The parsed module: owned by `module`, lives as long. */
const struct ptx_module *emu_module_ptx(const struct emu_module *module);

struct emu_parameter {
    const char *name;
    enum ptx_type type; /* element type; B8 for a struct */
    size_t offset;      /* in the argument block */
    size_t bytes;
};

struct emu_kernel_info {
    const char *name;
    const struct emu_parameter *parameters;
    size_t parameter_count;
    size_t argument_bytes; /* of the argument block */
    size_t shared_static;  /* bytes of static shared memory */
    int uses_dynamic;      /* has an extern .shared array */
    size_t local_bytes;    /* stack of a thread */
    size_t frame_bytes;    /* emulated registers of a warp, after sharing */
    uint32_t max_threads;  /* .maxntid or .reqntid product, 0: none given */
    int ordered;    /* uses atomic results: blocks run in order on one thread */
    int operations; /* decoded */
};

void emu_kernel_info(const struct emu_kernel *kernel,
                     struct emu_kernel_info *out);

/* Every opcode with every modifier that the decoder takes, one a line. */
int emu_print_opcodes(struct tsr_buffer *out);

/* ---- launch -------------------------------------------------------------- */

struct emu_launch {
    const struct emu_kernel *kernel;
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared; /* dynamic shared memory, bytes */
    /* The parameters one after the other, each at its natural alignment, as
    ** the driver API lays them out (emu_kernel_info says where). */
    const void *arguments;
    size_t argument_bytes;
    /* Run only these blocks (linear x + y*grid.x + z*grid.x*grid.y, ascending
    ** and distinct); NULL runs all. */
    const uint64_t *blocks;
    size_t block_count;
};

struct emu_options {
    int checks;      /* hazards.h; bounds are checked anyway */
    int counts;      /* fill report.counts */
    int threads;     /* host threads; 0: one per online CPU */
    int schedules;   /* runs under seeds seed, seed + 1, ...; memory is put
                        back between them and all must leave the same bytes */
    uint64_t seed;   /* 0: natural order; else order of warps, of blocks where
                        they are ordered, and lengths of turns vary with it */
    int eager_async; /* cp.async copies at issue, not at the wait */
    int perturb_ulp; /* results of .approx vary by up to this many ulp */
    int contraction_notes; /* note float add/mul that ptxas may contract */
    /* Warp instructions that one block may execute; 0: EMU_LIMIT_DEFAULT. */
    uint64_t instruction_limit;
    size_t finding_limit;  /* 0: 100 */
    uint32_t shared_limit; /* bytes a block may have; 0: 232448 (227 KiB) */
    int isa;               /* enum emu_isa cap, for tests; 0: the best here */
};

#define EMU_LIMIT_DEFAULT (UINT64_C(1) << 31)
#define EMU_OPTIONS_DEFAULT         \
    {                               \
        .checks = 1, .schedules = 1 \
    }

/* Which host instructions the hot loops use. */
enum emu_isa {
    EMU_ISA_BEST,
    EMU_ISA_BASE, /* portable C */
    EMU_ISA_V3,   /* AVX2, FMA, F16C */
    EMU_ISA_V4,   /* AVX-512 F BW DQ VL and VNNI */
};

/* The best this host has. */
enum emu_isa emu_isa_best(void);

/* Zero-initialise. Launches add to it: one report may collect several. */
struct emu_report {
    struct emu_findings findings; /* sorted */
    struct emu_counts counts;     /* with options.counts, of the first seed */
    uint64_t warp_instructions;
    struct tsr_buffer output; /* what the kernel printed */
};

/* Runs to the end. 0 when it ran, even with findings: a caller that wants them
** to be errors asks emu_report_faults. Negative when the launch itself is
** impossible (TSR_EUSAGE: shape, argument size, shared memory) or memory ran
** out. `options` NULL is EMU_OPTIONS_DEFAULT. `report` may be NULL. Findings
** point into the module of the kernel: release the report first. */
int emu_launch_run(const struct emu_launch *launch,
                   const struct emu_options *options, struct emu_report *report,
                   struct tsr_error *err);

/* Findings that are faults, not notes. */
size_t emu_report_faults(const struct emu_report *report);
void emu_report_release(struct emu_report *report);
/* One line of text for a finding, as the command line prints it:
** "kind at file:line (ptx line N), block (x,y,z) warp w lanes 0x..: message" */
int emu_finding_print(const struct emu_finding *finding,
                      struct tsr_buffer *out);

#endif
