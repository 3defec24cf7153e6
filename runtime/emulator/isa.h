/* isa.h -- compiles a file of lane handlers once per host instruction set.
**
** A handler does one decoded operation for the 32 lanes of a warp. One binary
** runs on any host of its architecture, so the files with hot handlers are
** compiled three times and the launch picks by what the CPU has:
**
**     base   what the compiler was told; portable C
**     v3     AVX2, FMA, F16C
**     v4     AVX-512 F, BW, DQ, VL and VNNI
**
** Such a file begins with
**
**     #ifndef EMU_ISA
**     #define EMU_SELF "runtime/emulator/alu_int.c"
**     #include "runtime/emulator/isa.h"
**     #else
**
** and goes on with handlers written with the macros of lanes.h. Headers that
** define functions must be included before EMU_SELF is, that is from here, or
** their bodies would be compiled for the wrong host.
*/
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "runtime/base/half.h"
#include "runtime/emulator/compare.h"
#include "runtime/emulator/exec.h"
#include "runtime/emulator/float.h"
#include "runtime/emulator/half_math.h"
#include "runtime/emulator/handlers.h"
#include "runtime/emulator/lanes.h"
#include "runtime/emulator/mma.h"
#include "runtime/emulator/random.h"
#include "runtime/emulator/reach.h"
#include "runtime/emulator/rounding.h"
#include "runtime/emulator/warp.h"

#define EMU_ISA       base
#define EMU_ISA_LEVEL 0
#include EMU_SELF
#undef EMU_ISA
#undef EMU_ISA_LEVEL

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2," \
                                                   "popcnt,lzcnt"))),        \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt")
#endif
#define EMU_ISA       v3
#define EMU_ISA_LEVEL 3
#include EMU_SELF
#undef EMU_ISA
#undef EMU_ISA_LEVEL
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#if defined(__clang__)
#pragma clang attribute push(                                            \
    __attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt,avx512f," \
                          "avx512bw,avx512dq,avx512vl,avx512vnni"))),    \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt")
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#pragma GCC target("prefer-vector-width=512")
#endif
#define EMU_ISA       v4
#define EMU_ISA_LEVEL 4
#include EMU_SELF
#undef EMU_ISA
#undef EMU_ISA_LEVEL
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
