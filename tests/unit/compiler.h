/* compiler.h -- for tests that compile: is NVRTC here, and a cache of their
** own. */
#ifndef TESTS_UNIT_COMPILER_H
#define TESTS_UNIT_COMPILER_H

#include <stdio.h>
#include <stdlib.h>

#include "gen/host/nvrtc.h"
#include "tests/unit/scratch.h"

/* Gives the process an empty cache folder and returns its name. */
static inline const char *compiler_fresh_cache(void)
{
    const char *folder = scratch_folder();
    setenv("TESSERA_CACHE_DIR", folder, 1);
    unsetenv("TESSERA_CACHE_LIMIT");
    return folder;
}

/* Skips the test, with the reason, where there is no NVRTC. */
#define NEED_NVRTC()                                              \
    do {                                                          \
        struct tsr_error need_error;                              \
        char need_version[16];                                    \
        if (gen_nvrtc_version(need_version, NULL, &need_error)) { \
            print_message("skipped: %s\n", need_error.text);      \
            skip();                                               \
        }                                                         \
    } while (0)

#endif
