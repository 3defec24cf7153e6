/* element.h -- how a table of element cases is written.
**
** A file of cases is one list, a row per case:
**
**     #define CASES(X) \
**         X(add_s32, "add.s32 %d, %a, %b;", S32, S32, S32, NONE, a + b)
**     CONF_ELEMENTS(integer, CASES)
**
** that is: an identifier, the PTX, the types of d, a, b, c, and the result in
** C over the operands' bits a, b, c (uint64_t, zero-extended). What does not
** fit d's type is cut off. A row with W in front is W(id, least architecture,
** comparison, tolerance, then the same).
*/
#ifndef TESTS_CONFORMANCE_ELEMENT_H
#define TESTS_CONFORMANCE_ELEMENT_H

#include "tests/emulator/conformance/conformance.h"

#define CONF_FUNCTION(id, text, d, ta, tb, tc, expression)          \
    static uint64_t expect_##id(uint64_t a, uint64_t b, uint64_t c) \
    {                                                               \
        (void)a, (void)b, (void)c;                                  \
        return (uint64_t)(expression);                              \
    }
#define CONF_ROW(id, text, d, ta, tb, tc, expression)          \
    {text,        CONF_##d,   CONF_##ta, CONF_##tb, CONF_##tc, \
     expect_##id, CONF_EXACT, 0,         80},

#define CONF_WIDE_FUNCTION(id, target, compare, tolerance, text, d, ta, tb, \
                           tc, expression)                                  \
    CONF_FUNCTION(id, text, d, ta, tb, tc, expression)
#define CONF_WIDE_ROW(id, target, compare, tolerance, text, d, ta, tb, tc, \
                      expression)                                          \
    {text,        CONF_##d,       CONF_##ta, CONF_##tb, CONF_##tc,         \
     expect_##id, CONF_##compare, tolerance, target},

#define CONF_ELEMENTS(table, list)                           \
    list(CONF_FUNCTION, CONF_WIDE_FUNCTION)                  \
        const struct conf_element conf_##table##_cases[] = { \
            list(CONF_ROW, CONF_WIDE_ROW)};                  \
    const size_t conf_##table##_count =                      \
        sizeof conf_##table##_cases / sizeof *conf_##table##_cases;

/* Operand bits as what they stand for. */
#define U16(x) ((uint16_t)(x))
#define S16(x) ((int16_t)(x))
#define U32(x) ((uint32_t)(x))
#define S32(x) ((int32_t)(x))
#define U64(x) ((uint64_t)(x))
#define S64(x) ((int64_t)(x))

#endif
