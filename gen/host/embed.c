/* embed.c -- a build tool: files into a C table (see embedded.h).
**
** Usage: embed OUT.c FILE...
**
** The table is sorted by name, so the order of the arguments does not matter,
** and OUT.c is written only when its contents change, so make does not
** recompile for nothing.
*/
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *data;
    size_t size, capacity;
};

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "embed: cannot %s '%s': %s\n", what, path, strerror(errno));
    exit(1);
}

static void text_add(struct text *text, const void *bytes, size_t size)
{
    if (text->capacity - text->size < size) {
        text->capacity = (text->capacity + size) * 2;
        text->data = realloc(text->data, text->capacity);
        if (!text->data)
            fail("hold", "the table");
    }
    if (size)
        memcpy(text->data + text->size, bytes, size);
    text->size += size;
}

static void text_puts(struct text *text, const char *words)
{
    text_add(text, words, strlen(words));
}

/* Reads a whole file; -1 when it cannot be opened. */
static int text_read(struct text *text, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    char block[65536];
    size_t got;
    while ((got = fread(block, 1, sizeof block, file)) > 0)
        text_add(text, block, got);
    if (ferror(file))
        fail("read", path);
    fclose(file);
    return 0;
}

static void emit_bytes(struct text *out, const struct text *in, size_t index)
{
    char piece[80];
    snprintf(piece, sizeof piece, "static const unsigned char file_%zu[] = {",
             index);
    text_puts(out, piece);
    for (size_t i = 0; i < in->size; i++) {
        snprintf(piece, sizeof piece, "%s%u,", i % 20 ? "" : "\n    ",
                 (unsigned char)in->data[i]);
        text_puts(out, piece);
    }
    text_puts(out, "\n    0};\n\n"); /* the NUL is not counted in size */
}

static void emit_row(struct text *out, const char *name, size_t index,
                     size_t size)
{
    char piece[80];
    text_puts(out, "    {\"");
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            text_puts(out, "\\");
        text_add(out, name, 1);
    }
    snprintf(piece, sizeof piece, "\", file_%zu, %zu},\n", index, size);
    text_puts(out, piece);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void write_if_changed(const char *path, const struct text *text)
{
    struct text old = {0};
    if (text_read(&old, path) == 0 && old.size == text->size &&
        memcmp(old.data, text->data, old.size) == 0) {
        free(old.data);
        return;
    }
    free(old.data);
    FILE *file = fopen(path, "wb");
    if (!file)
        fail("write", path);
    if (fwrite(text->data, 1, text->size, file) != text->size ||
        fclose(file) != 0) {
        remove(path);
        fail("write", path);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: embed OUT.c FILE...\n");
        return 2;
    }
    size_t count = (size_t)argc - 2;
    char **names = argv + 2;
    struct text out = {0}, table = {0};
    qsort(names, count, sizeof *names, compare_names);
    text_puts(&out, "/* written by gen/host/embed.c; do not edit */\n"
                    "#include \"gen/host/embedded.h\"\n\n");
    for (size_t i = 0; i < count; i++) {
        struct text file = {0};
        if (text_read(&file, names[i]))
            fail("open", names[i]);
        emit_bytes(&out, &file, i);
        emit_row(&table, names[i], i, file.size);
        free(file.data);
    }
    text_puts(&out, "const struct gen_embedded gen_embedded_files[] = {\n");
    text_add(&out, table.data, table.size);
    char tail[120];
    snprintf(tail, sizeof tail,
             "    {0, 0, 0}};\nconst size_t gen_embedded_count = %zu;\n",
             count);
    text_puts(&out, tail);
    write_if_changed(argv[1], &out);
    free(out.data);
    free(table.data);
    return 0;
}
