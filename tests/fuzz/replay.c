/* replay.c -- a main for a fuzz target where libFuzzer is absent: runs the
** target over every file of the folders given, then over seeded mutations of
** each, so that CI explores a little without clang.
*/
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUTATIONS_PER_FILE 64
#define LARGEST_INPUT      (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Flips, overwrites, truncates or repeats a piece of the input. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const uint8_t extreme[] = {0x00, 0xff, 0x7f, 0x80, '{', '"', '9'};
    for (uint64_t edits = next() % 8 + 1; edits && size; edits--) {
        size_t at = next() % size;
        switch (next() % 4) {
        case 0:
            data[at] ^= (uint8_t)(1u << next() % 8);
            break;
        case 1:
            data[at] = extreme[next() % sizeof extreme];
            break;
        case 2:
            size = at;
            break;
        default: {
            size_t from = next() % size, count = next() % 16;
            for (size_t i = 0; i < count && at + i < size && from + i < size;
                 i++)
                data[at + i] = data[from + i];
        }
        }
    }
    return size;
}

static void run_copy(const uint8_t *data, size_t size, int change)
{
    /* An exact allocation, so a sanitizer sees one byte too far. */
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        exit(1);
    memcpy(copy, data, size);
    size_t used = change ? mutate(copy, size) : size;
    LLVMFuzzerTestOneInput(copy, used);
    free(copy);
}

static int run_file(const char *path)
{
    static uint8_t bytes[LARGEST_INPUT];
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    run_copy(bytes, size, 0);
    for (int i = 0; i < MUTATIONS_PER_FILE; i++)
        run_copy(bytes, size, 1);
    return 1;
}

static int run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    int files = 0;
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        files += run_file(path);
    }
    closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++)
        files += run_folder(argv[i]);
    printf("%d corpus files, %d mutations each\n", files, MUTATIONS_PER_FILE);
    return files ? 0 : 1; /* a target without a corpus tests nothing */
}
