/* layout.c -- names and rules of the weight formats. */
#include "runtime/model/layout.h"

#include <string.h>

static const char *const NAMES[] = {
#define NAME(symbol, name, group) name,
    TSR_WEIGHT_FORMAT_LIST(NAME)
#undef NAME
};

enum { FORMATS = sizeof NAMES / sizeof NAMES[0] };

const char *tsr__weight_format_name(enum tsr_weight_format format)
{
    return (unsigned)format < FORMATS ? NAMES[format] : NULL;
}

const char *tsr__weight_format_names(void)
{
#define NAME(symbol, name, group) ", " name
    return (TSR_WEIGHT_FORMAT_LIST(NAME)) + 2;
#undef NAME
}

int tsr__weight_format_parse(const char *name, enum tsr_weight_format *out)
{
    for (int i = 0; i < FORMATS; i++)
        if (strcmp(name, NAMES[i]) == 0) {
            *out = (enum tsr_weight_format)i;
            return 0;
        }
    return -1;
}

const char *tsr__linear_check(enum tsr_weight_format format, size_t n, size_t k)
{
    /* More channels than any model has; keeps every product small. */
    const size_t most = 1 << 24;
    if (!tsr__weight_format_name(format))
        return "the weight format must be one of w4c, w4g128, w4g64";
    if (n == 0 || n % 8)
        return "N must be a positive multiple of 8";
    if (n > most)
        return "N must be at most 16777216";
    if (k == 0 || k > TSR_K_MAX)
        return "K must be 1 to 66311, so that int32 sums cannot overflow";
    if (format == TSR_W4C && k % 32)
        return "K must be a multiple of 32 for w4c";
    if (format == TSR_W4G128 && k % 128)
        return "K must be a multiple of the group, 128, for w4g128";
    if (format == TSR_W4G64 && k % 64)
        return "K must be a multiple of the group, 64, for w4g64";
    return NULL;
}
