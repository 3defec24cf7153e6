/* rounding.h -- exact IEEE results in any rounding mode, by integers.
**
** A value is (sign, mantissa, exponent); conf_round puts it into any binary
** format in any of PTX's four modes. An operation on floats is done in double,
** which holds all but a remainder of known sign; folding that sign into the
** last bit ("round to odd") makes the second rounding exact. Nothing here
** depends on the host's rounding mode.
*/
#ifndef TESTS_CONFORMANCE_ROUNDING_H
#define TESTS_CONFORMANCE_ROUNDING_H

#include <stdint.h>

enum conf_mode { CONF_RN, CONF_RZ, CONF_RM, CONF_RP };

struct conf_format {
    int mantissa_bits; /* stored */
    int exponent_bits;
    uint64_t nan;
};

extern const struct conf_format conf_f16, conf_bf16, conf_f32, conf_f64;

double conf_double(uint64_t bits);
uint64_t conf_double_bits(double value);

/* mantissa * 2^exponent, with `sticky` when a little more. */
uint64_t conf_round(const struct conf_format *format, int negative,
                    unsigned __int128 mantissa, int exponent, int sticky,
                    enum conf_mode mode);
uint64_t conf_round_double(const struct conf_format *format, double value,
                           enum conf_mode mode);
/* `value` moved to the odd neighbour in the direction of `rest`. */
double conf_odd(double value, double rest);

/* Operands and results are floats; conf_round_double finishes them. */
double conf_odd_add(double a, double b);
double conf_odd_fma(double a, double b, double c);
double conf_odd_div(double a, double b);
double conf_odd_sqrt(double a);

/* Doubles, in the host's arithmetic under a set rounding mode. */
enum conf_operation {
    CONF_ADD,
    CONF_SUB,
    CONF_MUL,
    CONF_DIV,
    CONF_FMA,
    CONF_SQRT
};
uint64_t conf_f64_operation(enum conf_operation operation, uint64_t a,
                            uint64_t b, uint64_t c, enum conf_mode mode);

/* A float without its fraction, in the mode. */
double conf_whole(double value, enum conf_mode mode);
/* A float as an integer of `bits` bits: clamped, NaN as PTX defines it. */
uint64_t conf_integer(double value, int bits, int is_signed, int from_f64,
                      enum conf_mode mode);

#endif
