/* decode_float.c -- rows of floating-point opcodes. */
#include "runtime/emulator/decode.h"

#define ONE(n) EMU_IDS(EMU_H_##n)
#define H4(n)                                                     \
    EMU_IDS(EMU_H_##n##_f16, EMU_H_##n##_f16x2, EMU_H_##n##_bf16, \
            EMU_H_##n##_bf16x2)
#define HALVES "f16|f16x2|bf16|bf16x2"
#define ROUND  "rn|rz|rm|rp"

static int build_half_function(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_op *op = emu_emit(d, (enum emu_handler_id)row->fast[0]);
    if (!op)
        return TSR_EMEMORY;
    emu_float_modifiers(d, op);
    switch (d->type) {
    case PTX_F16:
        op->x = 0;
        break;
    case PTX_F16X2:
        op->x = 1;
        break;
    case PTX_BF16:
        op->x = 2;
        break;
    default:
        op->x = 3;
    }
    return emu_put_operands(d, "dT aT");
}

/* div.full: see alu_approx.c. */
static int build_full(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_op *op = emu_emit(d, EMU_H_div_approx);
    if (!op)
        return TSR_EMEMORY;
    emu_float_modifiers(d, op);
    op->x = (uint8_t)row->extra;
    return emu_put_operands(d, "dT aT bT");
}

static const struct emu_row rows[] = {
    {"add", ROUND "? ftz? sat? f32", "dT aT bT", ONE(add_f32), ONE(add_f32_x),
     NULL, 0},
    {"sub", ROUND "? ftz? sat? f32", "dT aT bT", ONE(sub_f32), ONE(sub_f32_x),
     NULL, 0},
    {"mul", ROUND "? ftz? sat? f32", "dT aT bT", ONE(mul_f32), ONE(mul_f32_x),
     NULL, 0},
    {"fma", ROUND " ftz? sat? f32", "dT aT bT cT", ONE(fma_f32), ONE(fma_f32_x),
     NULL, 0},
    {"mad", ROUND " ftz? sat? f32", "dT aT bT cT", ONE(fma_f32), ONE(fma_f32_x),
     NULL, 0},
    {"div", ROUND " ftz? f32", "dT aT bT", ONE(div_f32), ONE(div_f32_x), NULL,
     0},
    {"div", "full ftz? f32", "", NULL, NULL, build_full, 1},
    {"div", "approx ftz? f32", "", NULL, NULL, build_full, 0},
    {"rcp", ROUND " ftz? f32", "dT aT", ONE(rcp_f32_x), NULL, NULL, 0},
    {"rcp", "approx ftz? f32", "dT aT", ONE(rcp_approx), NULL, NULL, 0},
    {"sqrt", ROUND " ftz? f32", "dT aT", ONE(sqrt_f32), ONE(sqrt_f32_x), NULL,
     0},
    {"sqrt", "approx ftz? f32", "dT aT", ONE(sqrt_approx), NULL, NULL, 0},
    {"rsqrt", "approx ftz? f32", "dT aT", ONE(rsqrt_approx), NULL, NULL, 0},
    {"ex2", "approx ftz? f32", "dT aT", ONE(ex2_approx), NULL, NULL, 0},
    {"lg2", "approx ftz? f32", "dT aT", ONE(lg2_approx), NULL, NULL, 0},
    {"sin", "approx ftz? f32", "dT aT", ONE(sin_approx), NULL, NULL, 0},
    {"cos", "approx ftz? f32", "dT aT", ONE(cos_approx), NULL, NULL, 0},
    {"tanh", "approx f32", "dT aT", ONE(tanh_approx), NULL, NULL, 0},
    {"min", "ftz? NaN? xorsign? abs? f32", "dT aT bT", ONE(min_f32), NULL, NULL,
     0},
    {"max", "ftz? NaN? xorsign? abs? f32", "dT aT bT", ONE(max_f32), NULL, NULL,
     0},
    {"abs", "ftz? f32", "dT aT", ONE(abs_f32), NULL, NULL, 0},
    {"neg", "ftz? f32", "dT aT", ONE(neg_f32), NULL, NULL, 0},
    {"copysign", "f32|f64", "dT aT bT",
     EMU_IDS(EMU_H_copysign_f32, EMU_H_copysign_f64), NULL, NULL, 0},

    {"add", ROUND "? f64", "dT aT bT", ONE(add_f64), ONE(add_f64_x), NULL, 0},
    {"sub", ROUND "? f64", "dT aT bT", ONE(sub_f64), ONE(sub_f64_x), NULL, 0},
    {"mul", ROUND "? f64", "dT aT bT", ONE(mul_f64), ONE(mul_f64_x), NULL, 0},
    {"fma", ROUND " f64", "dT aT bT cT", ONE(fma_f64), ONE(fma_f64_x), NULL, 0},
    {"mad", ROUND " f64", "dT aT bT cT", ONE(fma_f64), ONE(fma_f64_x), NULL, 0},
    {"div", ROUND " f64", "dT aT bT", ONE(div_f64_x), NULL, NULL, 0},
    {"rcp", ROUND " f64", "dT aT", ONE(rcp_f64_x), NULL, NULL, 0},
    {"rcp", "approx ftz f64", "dT aT", ONE(rcp_approx_f64), NULL, NULL, 0},
    {"sqrt", ROUND " f64", "dT aT", ONE(sqrt_f64_x), NULL, NULL, 0},
    {"rsqrt", "approx ftz? f64", "dT aT", ONE(rsqrt_approx_f64), NULL, NULL, 0},
    {"min", "f64", "dT aT bT", ONE(min_f64), NULL, NULL, 0},
    {"max", "f64", "dT aT bT", ONE(max_f64), NULL, NULL, 0},
    {"abs", "f64", "dT aT", ONE(abs_f64), NULL, NULL, 0},
    {"neg", "f64", "dT aT", ONE(neg_f64), NULL, NULL, 0},

    {"add", "rn? ftz? sat? " HALVES, "dT aT bT", H4(hadd), H4(hadd_x), NULL, 0},
    {"sub", "rn? ftz? sat? " HALVES, "dT aT bT", H4(hsub), H4(hsub_x), NULL, 0},
    {"mul", "rn? ftz? sat? " HALVES, "dT aT bT", H4(hmul), H4(hmul_x), NULL, 0},
    {"fma", "rn ftz? sat|relu? " HALVES, "dT aT bT cT", H4(hfma), H4(hfma_x),
     NULL, 0},
    {"min", "ftz? NaN? xorsign? abs? " HALVES, "dT aT bT", H4(hmin), NULL, NULL,
     0},
    {"max", "ftz? NaN? xorsign? abs? " HALVES, "dT aT bT", H4(hmax), NULL, NULL,
     0},
    {"abs", "ftz? " HALVES, "dT aT", H4(habs), NULL, NULL, 0},
    {"neg", "ftz? " HALVES, "dT aT", H4(hneg), NULL, NULL, 0},
    {"ex2", "approx ftz? " HALVES, "", ONE(ex2_half), NULL, build_half_function,
     0},
    {"tanh", "approx " HALVES, "", ONE(tanh_half), NULL, build_half_function,
     0},
};

const struct emu_table emu_table_float = {rows, sizeof rows / sizeof *rows};
