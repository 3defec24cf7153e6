/* package_rows.h -- small packages for tests: hand-written PTX, made-up
** cubins. The GEMM writes its m into y[blockIdx.x] (block z = 0), quant_act 7
** into q[blockIdx.x]: enough to see what was launched, with what.
*/
#ifndef TESTS_UNIT_PACKAGE_ROWS_H
#define TESTS_UNIT_PACKAGE_ROWS_H

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "autotune/package_writer.h"
#include "runtime/base/error.h"

#define PACKAGE_PTX_HEAD ".version 8.8\n.target sm_90a\n.address_size 64\n"

static const char package_gemm_ptx[] = PACKAGE_PTX_HEAD
    ".visible .entry gemm_w4a8(.param .u64 p0, .param .u64 p1, .param .u64 "
    "p2,\n .param .u64 p3, .param .u64 p4, .param .u64 p5, .param .u64 p6,\n"
    " .param .u64 p7, .param .u64 p8, .param .u64 p9, .param .u32 p10)\n"
    "{\n .reg .pred %p<2>;\n .reg .b16 %rs<2>;\n .reg .b32 %r<5>;\n"
    " .reg .b64 %rd<5>;\n"
    " ld.param.u64 %rd1, [p0];\n ld.param.u32 %r1, [p10];\n"
    " mov.u32 %r2, %tid.x;\n mov.u32 %r4, %ctaid.z;\n"
    " or.b32 %r2, %r2, %r4;\n setp.ne.s32 %p1, %r2, 0;\n @%p1 bra DONE;\n"
    " mov.u32 %r3, %ctaid.x;\n cvta.to.global.u64 %rd2, %rd1;\n"
    " mul.wide.u32 %rd3, %r3, 2;\n add.s64 %rd4, %rd2, %rd3;\n"
    " cvt.u16.u32 %rs1, %r1;\n st.global.u16 [%rd4], %rs1;\n"
    "DONE:\n ret;\n}\n";

static const char package_quant_ptx[] = PACKAGE_PTX_HEAD
    ".visible .entry quant_act(.param .u64 p0, .param .u64 p1, .param .u64 "
    "p2,\n .param .u64 p3, .param .u32 p4)\n"
    "{\n .reg .pred %p<2>;\n .reg .b16 %rs<2>;\n .reg .b32 %r<4>;\n"
    " .reg .b64 %rd<5>;\n ld.param.u64 %rd1, [p0];\n"
    " mov.u32 %r2, %tid.x;\n setp.ne.s32 %p1, %r2, 0;\n @%p1 bra DONE;\n"
    " mov.u32 %r3, %ctaid.x;\n cvta.to.global.u64 %rd2, %rd1;\n"
    " cvt.u64.u32 %rd3, %r3;\n add.s64 %rd4, %rd2, %rd3;\n"
    " mov.u16 %rs1, 7;\n st.global.u8 [%rd4], %rs1;\n"
    "DONE:\n ret;\n}\n";

static const char package_cubin[] = "\177ELF made up machine code";

/* What tuned rows were tuned on; a test sets it to the name of its device. */
static const char *package_device = "a device";

static inline struct tune_package_row package_gemm(uint32_t m)
{
    return (struct tune_package_row){
        .family = "gemm_w4a8",
        .format = "w4c",
        .type = "f16",
        .n = 64,
        .k = 64,
        .m = m,
        .kind = "tuned",
        .arch = "sm_90a",
        .device = package_device,
        .sm_count = 132,
        .microseconds = 5,
        .spec = "gemm_w4a8 format=w4c k=64 n=64",
        .entry = "gemm_w4a8",
        .launch = {.threads = 32, .tile_n = 16, .tile_m = 8, .split_k = 1},
        .cubin = package_cubin,
        .cubin_size = sizeof package_cubin,
        .ptx = package_gemm_ptx,
        .ptx_size = sizeof package_gemm_ptx - 1,
        .provenance = "{}"};
}

static inline struct tune_package_row package_quant(void)
{
    struct tune_package_row row = package_gemm(16);
    row.family = row.entry = "quant_act";
    row.format = "";
    row.n = 0;
    row.spec = "quant_act k=64";
    row.ptx = package_quant_ptx;
    row.ptx_size = sizeof package_quant_ptx - 1;
    return row;
}

/* Three buckets, a default, a baseline and a quant_act. Returns 0 or a
** negative code. */
static inline int package_write(const char *path, struct tsr_error *err)
{
    struct tune_package_row rows[6];
    rows[0] = package_gemm(1);
    rows[1] = package_gemm(16);
    rows[1].launch.split_k = 2;
    rows[1].cubin = "\177ELF another";
    rows[1].cubin_size = 12;
    rows[2] = package_gemm(64);
    rows[3] = package_gemm(16);
    rows[3].kind = "default";
    rows[3].device = "";
    rows[3].sm_count = 0;
    rows[4] = rows[3];
    rows[4].kind = "baseline";
    rows[4].arch = "compute_80";
    rows[4].cubin = NULL;
    rows[4].cubin_size = 0;
    rows[5] = package_quant();
    json_t *manifest = json_pack("{s:s}", "model", "toy");
    int rc = tune_package_write(path, rows, 6, manifest, NULL, err);
    json_decref(manifest);
    return rc;
}

#endif
