/* handlers.h -- the list of all handlers.
**
** EMU_LANE_LIST: handlers that exist once per host instruction set (isa.h).
** EMU_PLAIN_LIST: handlers that exist once. A decoded operation names its
** handler by id; the launch turns ids into functions of the best set.
*/
#ifndef TSR_EMULATOR_HANDLERS_H
#define TSR_EMULATOR_HANDLERS_H

#include "runtime/emulator/emulator.h"
#include "runtime/emulator/op.h"

/* A column of names by type: X(add_b16) X(add_b32) X(add_b64). */
/* clang-format off */
#define EMU_B3(X, n) X(n##_b16) X(n##_b32) X(n##_b64)
#define EMU_I4(X, n) X(n##_u16) X(n##_s16) X(n##_u32) X(n##_s32)
#define EMU_I6(X, n) EMU_I4(X, n) X(n##_u64) X(n##_s64)
#define EMU_W4(X, n) X(n##_u32) X(n##_s32) X(n##_u64) X(n##_s64)
#define EMU_H4(X, n) X(n##_f16) X(n##_f16x2) X(n##_bf16) X(n##_bf16x2)

/* alu_int.c */
#define EMU_INTEGER_LIST(X)                                                    \
    X(mov_b32) X(mov_b64) X(mov_b128) EMU_B3(X, add) EMU_B3(X, sub)            \
    EMU_B3(X, mul) EMU_B3(X, mad) EMU_B3(X, and) EMU_B3(X, or)                 \
    EMU_B3(X, xor) EMU_B3(X, not) EMU_B3(X, neg) EMU_B3(X, cnot)               \
    EMU_B3(X, shl) EMU_I6(X, shr) EMU_I6(X, min) EMU_I6(X, max) X(abs_s16)     \
    X(abs_s32) X(abs_s64) EMU_I6(X, mulhi) EMU_I6(X, madhi)                    \
    EMU_I4(X, mulwide) EMU_I4(X, madwide) X(mul24_u32) X(mul24_s32)            \
    X(mad24_u32) X(mad24_s32) X(mul24hi_u32) X(mul24hi_s32) X(mad24hi_u32)     \
    X(mad24hi_s32) X(addsat_s32) X(subsat_s32) X(madhisat_s32)                 \
    X(mad24hisat_s32) EMU_I6(X, sad) EMU_I6(X, div) EMU_I6(X, rem)             \
    X(addcarry_b32) X(addcarry_b64) X(subborrow_b32) X(subborrow_b64)          \
    X(madcarry_b32) X(madcarry_b64) X(add_x2) X(min_u16x2) X(min_s16x2)        \
    X(max_u16x2) X(max_s16x2)

/* alu_bits.c */
#define EMU_BITS_LIST(X)                                                       \
    X(lop3) X(lop3_p) X(prmt) X(prmt_const) X(prmt_mode) X(shf_l_clamp)        \
    X(shf_l_wrap) X(shf_r_clamp) X(shf_r_wrap) EMU_W4(X, bfe) X(bfi_b32)       \
    X(bfi_b64) EMU_W4(X, bfind) X(clz_b32) X(clz_b64) X(popc_b32)              \
    X(popc_b64) X(brev_b32) X(brev_b64) X(fns) X(bmsk_clamp) X(bmsk_wrap)      \
    X(szext_u32) X(szext_s32) X(dp4a) X(dp2a) X(pack_b32) X(unpack_b32)        \
    X(pack_b64) X(unpack_b64) X(pack_list) X(unpack_list) X(video)

/* alu_select.c */
#define EMU_SELECT_LIST(X)                                                     \
    X(selp_b32) X(selp_b64) X(slct_b32_s32) X(slct_b64_s32)                    \
    X(slct_b32_f32) X(slct_b64_f32) EMU_I6(X, setp) X(setp_f32)                \
    X(setp_f64) X(setp_f16) X(setp_bf16) X(setp_f16x2) X(setp_bf16x2)          \
    EMU_I6(X, set) X(set_f32) X(set_f64) X(set_f16) X(set_bf16)                \
    X(set_f16x2) X(set_bf16x2) X(testp_f32) X(testp_f64) X(mov_pred)           \
    X(and_pred) X(or_pred) X(xor_pred) X(not_pred)

/* alu_float.c */
#define EMU_FLOAT_LIST(X)                                                      \
    X(add_f32) X(sub_f32) X(mul_f32) X(fma_f32) X(add_f32_x) X(sub_f32_x)      \
    X(mul_f32_x) X(fma_f32_x) X(div_f32) X(div_f32_x) X(rcp_f32_x)             \
    X(sqrt_f32) X(sqrt_f32_x) X(min_f32) X(max_f32) X(abs_f32) X(neg_f32)      \
    X(copysign_f32) X(add_f64) X(sub_f64) X(mul_f64) X(fma_f64)                \
    X(add_f64_x) X(sub_f64_x) X(mul_f64_x) X(fma_f64_x) X(div_f64_x)           \
    X(rcp_f64_x) X(sqrt_f64_x) X(min_f64) X(max_f64) X(abs_f64) X(neg_f64)     \
    X(copysign_f64)

/* alu_approx.c */
#define EMU_APPROX_LIST(X)                                                     \
    X(div_approx) X(rcp_approx) X(sqrt_approx) X(rsqrt_approx)                 \
    X(ex2_approx) X(lg2_approx) X(sin_approx) X(cos_approx) X(tanh_approx)     \
    X(rcp_approx_f64) X(rsqrt_approx_f64) X(ex2_half) X(tanh_half)

/* alu_half.c */
#define EMU_HALF_LIST(X)                                                       \
    EMU_H4(X, hadd) EMU_H4(X, hsub) EMU_H4(X, hmul) EMU_H4(X, hfma)            \
    EMU_H4(X, hmin) EMU_H4(X, hmax) EMU_H4(X, habs) EMU_H4(X, hneg)            \
    EMU_H4(X, hadd_x) EMU_H4(X, hsub_x) EMU_H4(X, hmul_x)                      \
    EMU_H4(X, hfma_x)

/* convert.c */
#define EMU_CONVERT_LIST(X)                                                    \
    X(cvt_u64_u32) X(cvt_s64_s32) X(cvt_u32_u64) X(cvt_u16_u32)                \
    X(cvt_u8_u32) X(cvt_s32_s8) X(cvt_s32_s16) X(cvt_integer)                  \
    X(cvt_f32_s32) X(cvt_f32_u32) X(cvt_s32_f32_rni) X(cvt_sat_f32)            \
    X(cvt_f32_f16) X(cvt_f16_f32) X(cvt_f32_bf16) X(cvt_bf16_f32)              \
    X(cvt_f16x2_f32) X(cvt_bf16x2_f32) X(cvt_float) X(cvt_pair)                \
    X(cvt_pack)

/* load_store.c */
#define EMU_MEMORY_LIST(X)                                                     \
    X(ld_param) X(ld_shared) X(ld_global) X(ld_generic) X(ld_local)            \
    X(ld_argument) X(st_shared) X(st_global) X(st_generic) X(st_local)         \
    X(st_read_only)

/* shfl.c, async.c */
#define EMU_ASYNC_LIST(X)                                                      \
    X(shfl) X(cp_async) X(cp_commit) X(cp_wait)

/* matrix.c */
#define EMU_MATRIX_LIST(X)                                                     \
    X(ldmatrix) X(stmatrix) X(movmatrix)

/* mma_int.c, mma_float.c */
#define EMU_MMA_LIST(X)                                                        \
    X(mma_i8_m16n8k32) X(mma_i8_m16n8k16) X(mma_i8_m8n8k16) X(mma_float)

#define EMU_LANE_LIST(X)                                                       \
    EMU_INTEGER_LIST(X) EMU_BITS_LIST(X) EMU_SELECT_LIST(X)                    \
    EMU_FLOAT_LIST(X) EMU_APPROX_LIST(X) EMU_HALF_LIST(X)                      \
    EMU_CONVERT_LIST(X) EMU_MEMORY_LIST(X) EMU_ASYNC_LIST(X)                   \
    EMU_MATRIX_LIST(X) EMU_MMA_LIST(X)

/* special.c, print.c, shuffle.c, atomics.c, generic.c */
#define EMU_PLAIN_LIST(X)                                                      \
    X(nothing) X(clock) X(clock_hi) X(clock64) X(globaltimer)                  \
    X(register_merge) X(register_check) X(print) X(assert)                     \
    X(register_select) X(vote) X(vote_ballot) X(match) X(redux)                \
    X(activemask) X(elect) X(atom) X(cvta_to) X(cvta_from) X(isspacep)         \
    X(fence) X(prefetch)
/* clang-format on */

enum emu_handler_id {
#define X(name) EMU_H_##name,
    EMU_LANE_LIST(X) EMU_PLAIN_LIST(X)
#undef X
        EMU_HANDLERS
};

#define X(name)                                                  \
    void emu_h_##name##_base(struct emu_warp *, unsigned char *, \
                             const struct emu_op *, uint32_t);
EMU_LANE_LIST(X)
#undef X
#if defined(__x86_64__)
#define X(name)                                                \
    void emu_h_##name##_v3(struct emu_warp *, unsigned char *, \
                           const struct emu_op *, uint32_t);   \
    void emu_h_##name##_v4(struct emu_warp *, unsigned char *, \
                           const struct emu_op *, uint32_t);
EMU_LANE_LIST(X)
#undef X
#endif
#define X(name)                                           \
    void emu_h_##name(struct emu_warp *, unsigned char *, \
                      const struct emu_op *, uint32_t);
EMU_PLAIN_LIST(X)
#undef X

emu_handler emu_handler_find(enum emu_handler_id id, enum emu_isa isa);

#endif
