/* ptx.c -- the tree's small change: types, look-ups. */
#include "runtime/emulator/ptx.h"

#include <string.h>

static const struct {
    const char *name;
    int bytes;
    char class;
} types[] = {[PTX_VOID] = {"void", 0, 0},
#define X(symbol, text, size, letter) [PTX_##symbol] = {text, size, letter},
             PTX_TYPE_LIST(X)
#undef X
};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

int ptx_type_bytes(enum ptx_type type)
{
    return types[type].bytes;
}

char ptx_type_class(enum ptx_type type)
{
    return types[type].class;
}

const char *ptx_type_name(enum ptx_type type)
{
    return types[type].name;
}

enum ptx_type ptx_type_find(const char *word)
{
    for (int i = 1; i < TYPE_COUNT; i++)
        if (strcmp(types[i].name, word) == 0)
            return (enum ptx_type)i;
    return PTX_VOID;
}

const struct ptx_function *ptx_module_function(const struct ptx_module *module,
                                               const char *name)
{
    for (int i = 0; i < module->function_count; i++)
        if (strcmp(module->functions[i].name, name) == 0)
            return &module->functions[i];
    return NULL;
}

const char *ptx_module_file(const struct ptx_module *module, int number)
{
    for (int i = 0; i < module->file_count; i++)
        if (module->files[i].number == number)
            return module->files[i].name;
    return NULL;
}

int ptx_has(const struct ptx_instruction *instruction, const char *word)
{
    for (int i = 0; i < instruction->modifier_count; i++)
        if (strcmp(instruction->modifier[i], word) == 0)
            return 1;
    return 0;
}
