/* emulate.c -- runs `tessera emulate` inside a test. */
#include "tests/emulator/emulate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "autotune/commands/command.h"

enum { WORDS = 256 };

static void give_up(const char *what)
{
    perror(what);
    abort();
}

/* `line` with every $TMP replaced; the caller frees it. */
static char *substitute(const char *line, const char *folder)
{
    size_t size = strlen(line) + 1, inserted = folder ? strlen(folder) : 0;
    for (const char *at = line; (at = strstr(at, "$TMP")); at += 4)
        size += inserted;
    char *text = malloc(size), *to = text;
    if (!text)
        give_up("malloc");
    while (*line) {
        if (strncmp(line, "$TMP", 4) == 0) {
            memcpy(to, folder ? folder : "", inserted);
            to += inserted;
            line += 4;
        } else {
            *to++ = *line++;
        }
    }
    *to = 0;
    return text;
}

/* Sends a standard stream into a new file; returns what it was. */
static int divert(FILE *stream, FILE *file)
{
    fflush(stream);
    int saved = dup(fileno(stream));
    if (saved < 0 || dup2(fileno(file), fileno(stream)) < 0)
        give_up("dup2");
    return saved;
}

static char *restore(FILE *stream, int saved, FILE *file)
{
    fflush(stream);
    if (dup2(saved, fileno(stream)) < 0)
        give_up("dup2");
    close(saved);
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : 0;
    char *text = calloc((size_t)size + 1, 1);
    rewind(file);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size)
        give_up("reading back");
    fclose(file);
    return text;
}

void emulate_line(struct emulate_result *out, const char *line,
                  const char *folder)
{
    char *argv[WORDS + 1], *text = substitute(line, folder), *state = NULL;
    int argc = 0;
    for (char *word = strtok_r(text, " ", &state); word && argc < WORDS;
         word = strtok_r(NULL, " ", &state))
        argv[argc++] = word;
    argv[argc] = NULL;
    FILE *files[2] = {tmpfile(), tmpfile()};
    if (!files[0] || !files[1])
        give_up("tmpfile");
    int saved_out = divert(stdout, files[0]);
    int saved_err = divert(stderr, files[1]);
    out->status = command_emulate(argc, argv);
    out->out = restore(stdout, saved_out, files[0]);
    out->err = restore(stderr, saved_err, files[1]);
    out->json = json_loads(out->out, 0, NULL);
    free(text);
}

void emulate_release(struct emulate_result *result)
{
    free(result->out);
    free(result->err);
    json_decref(result->json);
    memset(result, 0, sizeof *result);
}

int emulate_folder(char *out, size_t size, const char *name)
{
    const char *base = getenv("TSR_TEST_TMP");
    int length =
        snprintf(out, size, "%s/%s.XXXXXX", base ? base : "/tmp", name);
    return length < (int)size && mkdtemp(out) ? 0 : -1;
}

void emulate_file(const char *folder, const char *name, const void *bytes,
                  size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        give_up(path);
}
