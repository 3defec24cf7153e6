/* emulate.h -- runs `tessera emulate` inside a test, as a user would.
**
** The command function runs in this process with stdout and stderr in files,
** so that what is tested is the whole command: options, arguments, JSON.
*/
#ifndef TESTS_EMULATE_H
#define TESTS_EMULATE_H

#include <jansson.h>

struct emulate_result {
    int status;      /* exit status */
    char *out, *err; /* what was printed */
    json_t *json;    /* stdout as JSON, or NULL */
};

/* `line` is words parted by single spaces, as after "tessera": "emulate ...";
** $TMP in it is `folder`. */
void emulate_line(struct emulate_result *out, const char *line,
                  const char *folder);
void emulate_release(struct emulate_result *result);

/* A new folder for a test's files, under TSR_TEST_TMP or /tmp; 0 or -1. */
int emulate_folder(char *out, size_t size, const char *name);
/* Writes FOLDER/NAME; aborts the test program when it cannot. */
void emulate_file(const char *folder, const char *name, const void *bytes,
                  size_t size);

#endif
