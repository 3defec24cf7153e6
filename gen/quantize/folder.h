/* folder.h -- an output folder that appears complete or not at all.
**
** Files are written into PATH.tmp, which is locked against a second writer
** and renamed to PATH at the end. What a killed run left in PATH.tmp is
** cleared by the next one.
*/
#ifndef GEN_QUANTIZE_FOLDER_H
#define GEN_QUANTIZE_FOLDER_H

#include "runtime/base/error.h"

struct gen_folder {
    char *path;
    char *temporary; /* PATH.tmp, where files go */
    int lock;
    int replace;
};

/* An existing PATH is refused, or with `force` replaced at commit, provided
** that it is a model folder (plain files and a config.json) and not `source`.
*/
int gen_folder_begin(struct gen_folder *folder, const char *path,
                     const char *source, int force, struct tsr_error *err);
/* Copies the tokenizer and its like, as far as `source` has them. */
int gen_folder_copy_companions(struct gen_folder *folder, const char *source,
                               struct tsr_error *err);
int gen_folder_commit(struct gen_folder *folder, struct tsr_error *err);
/* Removes what was written. Safe after commit and after a failed begin. */
void gen_folder_abort(struct gen_folder *folder);

#endif
