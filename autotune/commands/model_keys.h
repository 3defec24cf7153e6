/* model_keys.h -- what `tune`, `pack` and `verify` read of a model folder. */
#ifndef TUNE_COMMANDS_MODEL_KEYS_H
#define TUNE_COMMANDS_MODEL_KEYS_H

#include <jansson.h>
#include <stdint.h>

#include "runtime/base/error.h"

/* config.json of a folder (or the file itself), as JSON. */
int model_config_load(const char *model, json_t **out, struct tsr_error *err);
/* The weight format: `given`, which must agree with a quantised folder's own;
** else the folder's; else "w4g128". Valid as long as `config` and `given`. */
int model_weights(const json_t *config, const char *given, const char **out,
                  struct tsr_error *err);

enum { BUCKETS_MAX = 21 };

/* "1,16,64" or "1..4096" (powers of two); NULL is the standard list. Ascending,
** distinct, 1 to 1048576. */
int buckets_parse(const char *text, uint32_t buckets[BUCKETS_MAX],
                  size_t *count, struct tsr_error *err);

#endif
