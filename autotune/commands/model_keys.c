/* model_keys.c -- config.json, weight format, M buckets. */
#include "autotune/commands/model_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"

enum { CONFIG_MAX = 16 << 20, BUCKET_MAX = 1 << 20 };

int model_config_load(const char *model, json_t **out, struct tsr_error *err)
{
    char path[4096], *text = NULL;
    struct stat about;
    size_t size;
    json_error_t why;
    int is_folder = stat(model, &about) == 0 && S_ISDIR(about.st_mode);
    int used = snprintf(path, sizeof path, "%s%s", model,
                        is_folder ? "/config.json" : "");
    if (used < 0 || (size_t)used >= sizeof path)
        return TSR_FAIL(err, TSR_EUSAGE, "the path of the model is too long");
    int rc = tsr__file_read(path, CONFIG_MAX, &text, &size, err);
    if (rc)
        return rc;
    json_t *config = json_loadb(text, size, 0, &why);
    tsr__free(text);
    if (!config)
        return TSR_FAIL(err, TSR_EFORMAT, "'%s' line %d: %s", path, why.line,
                        why.text);
    if (!json_is_object(config)) {
        json_decref(config);
        return TSR_FAIL(err, TSR_EFORMAT, "'%s' is not a JSON object", path);
    }
    *out = config;
    return 0;
}

int model_weights(const json_t *config, const char *given, const char **out,
                  struct tsr_error *err)
{
    const json_t *ours = json_object_get(config, "quantization_config");
    const char *own = json_string_value(json_object_get(ours, "weights"));
    if (own && given && strcmp(own, given) != 0)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "the model is quantised as %s, so --weights %s does "
                        "not fit; leave it away",
                        own, given);
    *out = own ? own : given ? given : "w4g128";
    return 0;
}

static int bad_buckets(const char *text, struct tsr_error *err)
{
    return TSR_FAIL(err, TSR_EUSAGE,
                    "--buckets %s: numbers from 1 to %d, ascending, with "
                    "commas, at most %d; or LOW..HIGH for powers of two",
                    text, BUCKET_MAX, BUCKETS_MAX);
}

int buckets_parse(const char *text, uint32_t buckets[BUCKETS_MAX],
                  size_t *count, struct tsr_error *err)
{
    static const uint32_t standard[] = {1, 4, 16, 64, 256, 1024};
    if (!text) {
        memcpy(buckets, standard, sizeof standard);
        *count = sizeof standard / sizeof *standard;
        return 0;
    }
    size_t found = 0;
    const char *at = text;
    for (;;) {
        char *end;
        unsigned long value = strtoul(at, &end, 10);
        if (end == at || *at < '0' || *at > '9' || value < 1 ||
            value > BUCKET_MAX || found == BUCKETS_MAX ||
            (found && buckets[found - 1] >= value))
            return bad_buckets(text, err);
        buckets[found++] = (uint32_t)value;
        if (strncmp(end, "..", 2) == 0 && found == 1) {
            unsigned long high = strtoul(end + 2, &end, 10);
            if (*end || high < value || high > BUCKET_MAX)
                return bad_buckets(text, err);
            while (value * 2 <= high && found < BUCKETS_MAX)
                buckets[found++] = (uint32_t)(value *= 2);
            break;
        }
        if (*end == 0)
            break;
        if (*end != ',')
            return bad_buckets(text, err);
        at = end + 1;
    }
    *count = found;
    return 0;
}
