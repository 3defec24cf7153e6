/* handlers.c -- handler ids to functions, by host instruction set. */
#include "runtime/emulator/handlers.h"

#define PLAIN(name) [EMU_H_##name] = emu_h_##name,

static const emu_handler base[EMU_HANDLERS] = {
#define X(name) [EMU_H_##name] = emu_h_##name##_base,
    EMU_LANE_LIST(X)
#undef X
        EMU_PLAIN_LIST(PLAIN)};

#if defined(__x86_64__)
static const emu_handler v3[EMU_HANDLERS] = {
#define X(name) [EMU_H_##name] = emu_h_##name##_v3,
    EMU_LANE_LIST(X)
#undef X
        EMU_PLAIN_LIST(PLAIN)};

static const emu_handler v4[EMU_HANDLERS] = {
#define X(name) [EMU_H_##name] = emu_h_##name##_v4,
    EMU_LANE_LIST(X)
#undef X
        EMU_PLAIN_LIST(PLAIN)};
#endif

enum emu_isa emu_isa_best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    int has_v3 = __builtin_cpu_supports("avx2") &&
                 __builtin_cpu_supports("fma") &&
                 __builtin_cpu_supports("bmi2");
    int has_v4 = has_v3 && __builtin_cpu_supports("avx512f") &&
                 __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl") &&
                 __builtin_cpu_supports("avx512vnni");
    if (has_v4)
        return EMU_ISA_V4;
    if (has_v3)
        return EMU_ISA_V3;
#endif
    return EMU_ISA_BASE;
}

emu_handler emu_handler_find(enum emu_handler_id id, enum emu_isa isa)
{
#if defined(__x86_64__)
    if (isa == EMU_ISA_V4)
        return v4[id];
    if (isa == EMU_ISA_V3)
        return v3[id];
#else
    (void)isa;
#endif
    return base[id];
}
