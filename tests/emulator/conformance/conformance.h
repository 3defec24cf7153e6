/* conformance.h -- one kernel per PTX opcode and type, with the right answer.
**
** Every case is the text of one PTX kernel, the bytes of its inputs and the
** bytes it must write, computed here in plain C that shares nothing with the
** emulator. The runner talks to device.h alone, so the same text and the same
** vectors run on the emulator (tests/unit/test_conformance.c) and on a GPU
** (tests/gpu/gpu_check.c).
**
** All kernels have one signature,
**
**     .entry kernel(.u64 out, .u64 a, .u64 b, .u64 c)
**
** and come in two forms. An *element* case is a row of a table: thread i loads
** a[i], b[i], c[i] into %a, %b, %c, executes the row's text and stores %d to
** out[i]. A *block* case writes its own body over the four pointers and has a
** C function that fills inputs and expected bytes.
*/
#ifndef TESTS_CONFORMANCE_H
#define TESTS_CONFORMANCE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/error.h"

struct tsr_device;

/* name, bytes, register type, load/store type */
#define CONF_TYPE_LIST(X)                                                     \
    X(NONE, 0, "b32", "b32")                                                  \
    X(U8, 1, "u16", "u8")                                                     \
    X(S8, 1, "s16", "s8")                                                     \
    X(U16, 2, "u16", "u16")                                                   \
    X(S16, 2, "s16", "s16")                                                   \
    X(U32, 4, "u32", "u32")                                                   \
    X(S32, 4, "s32", "s32")                                                   \
    X(B32, 4, "b32", "b32")                                                   \
    X(U64, 8, "u64", "u64")                                                   \
    X(S64, 8, "s64", "s64")                                                   \
    X(B64, 8, "b64", "b64")                                                   \
    X(F16, 2, "b16", "b16")                                                   \
    X(BF16, 2, "b16", "b16")                                                  \
    X(H2, 4, "b32", "b32")  /* two f16 */                                     \
    X(BH2, 4, "b32", "b32") /* two bf16 */                                    \
    X(F32, 4, "f32", "f32")                                                   \
    X(F64, 8, "f64", "f64")                                                   \
    X(SMALL, 4, "u32", "u32")   /* 0..70: shift counts, positions, lengths */ \
    X(SMALL64, 8, "u64", "u64") /* the same in 64 bits */

enum conf_type {
#define X(name, bytes, reg, load) CONF_##name,
    CONF_TYPE_LIST(X)
#undef X
};

int conf_type_bytes(enum conf_type type);

/* How out is compared with what is expected, element by element. */
enum conf_compare {
    CONF_EXACT,    /* every bit */
    CONF_ANY_NAN,  /* every bit, but one NaN is as good as another */
    CONF_ULP,      /* within `tolerance` units in the last place, NaN = NaN */
    CONF_ABSOLUTE, /* |out - expected| <= tolerance, NaN = NaN */
};

/* Bits of the operands, zero-extended; the result likewise. */
typedef uint64_t conf_function(uint64_t a, uint64_t b, uint64_t c);

struct conf_element {
    const char *text; /* PTX that computes %d from %a, %b, %c: also its name */
    enum conf_type d, a, b, c;
    conf_function *expect;
    enum conf_compare compare;
    double tolerance;
    int target; /* 80, 89, 90: the least architecture that has it */
};

struct conf_block {
    const char *name;
    const char *text;       /* body; %po %pa %pb %pc are the four pointers */
    const char *file_scope; /* variables and functions before the kernel */
    unsigned threads;
    unsigned blocks;
    size_t out_bytes, a_bytes, b_bytes, c_bytes;
    enum conf_type d; /* element of out, for comparing and for printing */
    /* Inputs arrive filled with seeded random bytes, `out` with zeros (which
    ** is what the device's buffer holds before the launch). */
    void (*fill)(void *a, void *b, void *c, void *out);
    enum conf_compare compare;
    double tolerance;
    int target;
};

/* The tables, one per file of cases. */
#define CONF_TABLE_LIST(X) \
    X(integer)             \
    X(bits)                \
    X(lanes)               \
    X(compare)             \
    X(float)               \
    X(double)              \
    X(half)                \
    X(convert)
#define CONF_BLOCK_LIST(X) \
    X(memory)              \
    X(atomic)              \
    X(async)               \
    X(warp)                \
    X(matrix)              \
    X(control)

#define X(name)                                             \
    extern const struct conf_element conf_##name##_cases[]; \
    extern const size_t conf_##name##_count;
CONF_TABLE_LIST(X)
#undef X
#define X(name)                                           \
    extern const struct conf_block conf_##name##_cases[]; \
    extern const size_t conf_##name##_count;
CONF_BLOCK_LIST(X)
#undef X

/* One case ready to run: what a row of either table expands to. */
struct conf_case {
    const char *name;
    const char *group; /* "integer", "matrix", ... */
    char *ptx;
    unsigned threads, blocks;
    size_t bytes[4]; /* out, a, b, c */
    unsigned char *expected;
    unsigned char *input[3];
    enum conf_type d;
    enum conf_compare compare;
    double tolerance;
    int target;
};

size_t conf_case_count(void);
int conf_case_build(struct conf_case *out, size_t index, struct tsr_error *err);
void conf_case_release(struct conf_case *c);
/* Elements of `got` that differ from what is expected; the index of the first
** in *first, which may be NULL. */
size_t conf_case_compare(const struct conf_case *c, const unsigned char *got,
                         size_t *first);

/* Random bytes of a seeded sequence (splitmix64), for fills. */
uint64_t conf_random(uint64_t *state);
/* Element `i` of a vector of `type`: extremes first, then random. `operand`
** (0, 1, 2) keeps the operands of one case apart. */
uint64_t conf_input(enum conf_type type, size_t i, int operand);

struct conformance_result {
    size_t cases, passed, failed, skipped;
};

/* Runs every case whose name contains `only` (NULL: all) and adds up. Each
** failed case is one line in `log` (may be NULL) with its first wrong element;
** with `json`, every case is one JSON line there. 0, or the first error that
** was no mere failing case. */
int conformance_run(struct tsr_device *device, const char *only, FILE *log,
                    FILE *json, struct conformance_result *out,
                    struct tsr_error *err);

#endif
