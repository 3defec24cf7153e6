/* block.h -- how a table of block cases is written. */
#ifndef TESTS_CONFORMANCE_BLOCK_H
#define TESTS_CONFORMANCE_BLOCK_H

#include <string.h>

#include "tests/emulator/conformance/conformance.h"

#define CONF_BLOCKS(table)              \
    const size_t conf_##table##_count = \
        sizeof conf_##table##_cases / sizeof *conf_##table##_cases;

/* Most block cases have this many threads, and one block. */
#define THREADS 64

/* %t0 = pointer + i * bytes */
#define AT(t, pointer, bytes) \
    " mad.wide.u32 %t" #t ", %i, " #bytes ", %" #pointer ";"

#endif
