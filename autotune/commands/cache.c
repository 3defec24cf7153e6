/* cache.c -- tessera cache: where compiled kernels are kept, how much of it
** there is, and how to be rid of it. */
#include <stdio.h>

#include "autotune/commands/command.h"
#include "gen/host/cache.h"

static const struct option_spec options[] = {
    {"clear", NULL, "remove every entry"},
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL}};

static void show(const struct command *command, const char *verb,
                 const struct gen_cache_usage *usage)
{
    if (command->json)
        command_print_json(json_pack(
            "{s:s, s:I, s:I, s:I, s:b}", "path", usage->path, "entries",
            (json_int_t)usage->entries, "bytes", (json_int_t)usage->bytes,
            "limit_bytes", (json_int_t)usage->limit, "cleared",
            command_option(command, "clear") != NULL));
    else
        printf("%s: %s%zu compiled kernels, %.1f MiB (limit %.0f MiB)\n",
               usage->path, verb, usage->entries, (double)usage->bytes / 0x1p20,
               (double)usage->limit / 0x1p20);
}

int command_cache(int argc, char **argv)
{
    struct command command;
    struct gen_cache_usage usage;
    int rc;
    int status = command_begin(&command, argc, argv, options, "cache [--clear]",
                               "Shows or empties the compile cache.");
    if (status >= 0)
        return status;
    if (command.word_count > 0)
        rc = TSR_FAIL(&command.err, TSR_EUSAGE,
                      "'%s' is not expected; cache takes only options",
                      command.words[0]);
    else if (command_option(&command, "clear"))
        rc = gen_cache_clear(&usage, &command.err);
    else
        rc = gen_cache_measure(&usage, &command.err);
    if (rc == 0)
        show(&command, command_option(&command, "clear") ? "removed " : "",
             &usage);
    return command_end(&command, rc);
}
