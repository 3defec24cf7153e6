/* gen.c -- tessera gen: the emitted CUDA source of a SPEC, or any stage before
** it.
**
**     spec     the SPEC, checked and canonical, with every axis
**     plan     the legal configurations of its key, best estimate first
**     lua      the template as the Lua it is translated to
**     source   CUDA (the default)
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/commands/command.h"
#include "gen/host/generator.h"
#include "runtime/base/buffer.h"
#include "runtime/base/file.h"

static const struct option_spec options[] = {
    {"set", "KEY=VALUE", "add or replace a word of the SPEC (repeatable)"},
    {"stage", "STAGE", "spec, plan, lua or source (default)"},
    {"scripts", "DIR", "gen/lua and templates of DIR before the built-in ones"},
    {"output", "FILE", "write to FILE instead of standard output (-o)"},
    {"json", NULL, "print one JSON object per line"},
    {NULL, NULL, NULL}};

static const struct stage {
    const char *name, *function;
} stages[] = {{"spec", "spec.parse"},
              {"plan", "plan.candidates"},
              {"lua", "render.lua"},
              {"source", "render.kernel"}};

static const struct stage *find_stage(struct command *command)
{
    const char *name = command_option(command, "stage");
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (strcmp(name ? name : "source", stages[i].name) == 0)
            return &stages[i];
    TSR_FAIL(&command->err, TSR_EUSAGE,
             "--stage %s: must be one of spec plan lua source", name);
    return NULL;
}

/* Whether some --set gives the key of `word` a new value. */
static int is_replaced(const struct command *command, const char *word)
{
    const char *set, *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) + 1 : 0;
    for (int i = 0; (set = command_option_at(command, "set", i)); i++)
        if (size && strncmp(set, word, size) == 0)
            return 1;
    return 0;
}

/* The SPEC as a JSON list, --set applied; NULL when a word is not UTF-8. */
static json_t *words_of(struct command *command)
{
    const char *set;
    json_t *words = json_array();
    int failed = 0;
    for (int i = 0; i < command->word_count; i++)
        if (!is_replaced(command, command->words[i]))
            failed |=
                json_array_append_new(words, json_string(command->words[i]));
    for (int i = 0; (set = command_option_at(command, "set", i)); i++)
        failed |= json_array_append_new(words, json_string(set));
    if (!failed)
        return words;
    json_decref(words);
    TSR_FAIL(&command->err, TSR_EUSAGE, "a word of the SPEC is not UTF-8");
    return NULL;
}

/* plan.candidates takes a key: the SPEC's words joined; axes in it are kept
** fixed. */
static json_t *argument_of(const struct stage *stage, json_t *words)
{
    struct tsr_buffer key = TSR_BUFFER_INIT;
    if (strcmp(stage->name, "plan") != 0)
        return json_pack("{s:O}", "words", words);
    for (size_t i = 0; i < json_array_size(words); i++)
        tsr__buffer_addf(&key, "%s%s", i ? " " : "",
                         json_string_value(json_array_get(words, i)));
    json_t *argument =
        json_pack("{s:s}", "key", key.data && !key.failed ? key.data : "");
    tsr__buffer_release(&key);
    return argument;
}

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static void add_candidate(struct tsr_buffer *out, const json_t *candidate)
{
    const json_t *launch = json_object_get(candidate, "launch");
    tsr__buffer_addf(
        out, "%9.2f us  %4lld threads  %6lld B shared  %s\n",
        json_number_value(json_object_get(candidate, "estimate_us")),
        (long long)json_integer_value(json_object_get(launch, "threads")),
        (long long)json_integer_value(json_object_get(launch, "shared")),
        text_of(candidate, "spec"));
}

static void add_text(struct tsr_buffer *out, const char *stage,
                     const json_t *result)
{
    if (strcmp(stage, "source") == 0)
        tsr__buffer_addf(out, "%s", text_of(result, "source"));
    else if (strcmp(stage, "lua") == 0)
        tsr__buffer_addf(out, "%s", text_of(result, "chunk"));
    else if (strcmp(stage, "spec") == 0)
        tsr__buffer_addf(out, "%s\n", text_of(result, "spec"));
    else
        for (size_t i = 0; i < json_array_size(result); i++)
            add_candidate(out, json_array_get(result, i));
}

static void add_json_line(struct tsr_buffer *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    if (text)
        tsr__buffer_addf(out, "%s\n", text);
    else
        out->failed = 1;
    free(text);
}

static void add_json(struct tsr_buffer *out, const json_t *result)
{
    if (!json_is_array(result))
        add_json_line(out, result);
    for (size_t i = 0; i < json_array_size(result); i++)
        add_json_line(out, json_array_get(result, i));
}

static int print(struct command *command, const struct stage *stage,
                 const json_t *result)
{
    const char *path = command_option(command, "output");
    struct tsr_buffer out = TSR_BUFFER_INIT;
    int rc = 0;
    if (command->json)
        add_json(&out, result);
    else
        add_text(&out, stage->name, result);
    if (out.failed || !out.data)
        rc = TSR_FAIL(&command->err, TSR_EMEMORY, "out of memory");
    else if (path)
        rc = tsr__file_write(path, out.data, out.size, &command->err);
    else if (fwrite(out.data, 1, out.size, stdout) != out.size ||
             fflush(stdout) != 0)
        rc =
            TSR_FAIL(&command->err, TSR_EIO, "cannot write to standard output");
    tsr__buffer_release(&out);
    return rc;
}

int command_gen(int argc, char **argv)
{
    struct command command;
    struct gen_host *host = NULL;
    json_t *words = NULL, *argument = NULL, *result = NULL;
    int rc = TSR_EUSAGE;
    int status = command_begin(
        &command, argc, argv, options,
        "gen SPEC [--set KEY=VALUE] [--stage STAGE] [--scripts DIR] [-o FILE]",
        "Prints the CUDA source emitted for a SPEC (family key=value ...).");
    if (status >= 0)
        return status;
    const struct stage *stage = find_stage(&command);
    if (!stage || !(words = words_of(&command)))
        goto done;
    argument = argument_of(stage, words);
    rc =
        gen_host_open(&host, command_option(&command, "scripts"), &command.err);
    if (!rc)
        rc = gen_host_call(host, stage->function, argument, &result,
                           &command.err);
    if (!rc)
        rc = print(&command, stage, result);
done:
    json_decref(result);
    json_decref(argument);
    json_decref(words);
    gen_host_free(host);
    return command_end(&command, rc);
}
