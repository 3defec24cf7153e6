/* config.c -- config.json, field by field.
**
** The first fault ends the reading: each helper looks at reader->rc and does
** nothing once it is set, so the reading below is one straight list.
*/
#include "runtime/model/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/model/safetensors_private.h"

enum {
    CONFIG_LIMIT = 4 << 20,
    CONFIG_VERSION = 1 /* of our quantization_config */
};

struct reader {
    const char *name; /* of the file */
    const json_t *object;
    struct tsr_error *err;
    int rc;
};

/* NULL for a key that is absent or null. */
static const json_t *get(const struct reader *reader, const char *key)
{
    const json_t *value = json_object_get(reader->object, key);
    return json_is_null(value) ? NULL : value;
}

static const json_t *need(struct reader *reader, const char *key)
{
    const json_t *value = get(reader, key);
    if (!reader->rc && !value)
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s' has no %s, which a model "
                              "needs",
                              reader->name, key);
    return value;
}

/* The value as text for a message, in `out`. */
static const char *show(const json_t *value, char out[64])
{
    if (json_is_integer(value))
        snprintf(out, 64, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, 64, "%g", json_real_value(value));
    else if (json_is_string(value))
        snprintf(out, 64, "'%.50s'",
                 tsr__text_has_control(json_string_value(value))
                     ? "?"
                     : json_string_value(value));
    else
        snprintf(out, 64, "%s",
                 json_is_true(value)    ? "true"
                 : json_is_false(value) ? "false"
                 : json_is_array(value) ? "a list"
                                        : "an object");
    return out;
}

static int integer_of(struct reader *reader, const char *key,
                      const json_t *value, long long low, long long high)
{
    char shown[64];
    if (reader->rc || !value)
        return 0;
    long long number = json_integer_value(value);
    if (json_is_integer(value) && number >= low && number <= high)
        return (int)number;
    reader->rc =
        TSR_FAIL(reader->err, TSR_EFORMAT,
                 "'%s': %s is %s; it must be an integer from %lld to %lld",
                 reader->name, key, show(value, shown), low, high);
    return 0;
}

static int integer(struct reader *reader, const char *key, long long low,
                   long long high)
{
    return integer_of(reader, key, need(reader, key), low, high);
}

static int integer_or(struct reader *reader, const char *key, long long low,
                      long long high, int otherwise)
{
    const json_t *value = get(reader, key);
    return value ? integer_of(reader, key, value, low, high) : otherwise;
}

static double real_of(struct reader *reader, const char *key,
                      const json_t *value, double low, double high)
{
    char shown[64];
    if (reader->rc || !value)
        return 0;
    double number = json_number_value(value);
    if (json_is_number(value) && number >= low && number <= high)
        return number;
    reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                          "'%s': %s is %s; it must be a number from %g to %g",
                          reader->name, key, show(value, shown), low, high);
    return 0;
}

static int boolean_or(struct reader *reader, const char *key, int otherwise)
{
    char shown[64];
    const json_t *value = get(reader, key);
    if (reader->rc || !value)
        return otherwise;
    if (!json_is_boolean(value))
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s': %s is %s; it must be true or false",
                              reader->name, key, show(value, shown));
    return json_is_true(value);
}

/* A string, or `otherwise` when absent. */
static const char *string_or(struct reader *reader, const char *key,
                             const char *otherwise)
{
    char shown[64];
    const json_t *value = get(reader, key);
    if (reader->rc || !value)
        return otherwise;
    if (!json_is_string(value) ||
        tsr__text_has_control(json_string_value(value))) {
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s': %s is %s; it must be a string",
                              reader->name, key, show(value, shown));
        return otherwise;
    }
    return json_string_value(value);
}

static const char *const ARCHITECTURES[] = {
#define NAME(symbol, name) name,
    TSR_ARCHITECTURE_LIST(NAME)
#undef NAME
};

enum { ARCHITECTURE_COUNT = sizeof ARCHITECTURES / sizeof ARCHITECTURES[0] };

const char *tsr__architecture_name(enum tsr_architecture architecture)
{
    return (unsigned)architecture < ARCHITECTURE_COUNT
               ? ARCHITECTURES[architecture]
               : "?";
}

static void read_architecture(struct reader *reader,
                              struct tsr_model_config *config)
{
    char shown[64];
    const json_t *list = need(reader, "architectures");
    if (reader->rc)
        return;
    const json_t *first = json_array_get(list, 0);
    for (int i = 0; json_is_string(first) && i < ARCHITECTURE_COUNT; i++)
        if (strcmp(json_string_value(first), ARCHITECTURES[i]) == 0) {
            config->architecture = (enum tsr_architecture)i;
            return;
        }
#define NAME(symbol, name) ", " name
    reader->rc = TSR_FAIL(reader->err, TSR_EUNSUPPORTED,
                          "'%s': the architecture %s is not supported; "
                          "supported are %s",
                          reader->name, show(first ? first : list, shown),
                          (TSR_ARCHITECTURE_LIST(NAME)) + 2);
#undef NAME
}

static void read_shape(struct reader *reader, struct tsr_model_config *config)
{
    config->hidden = integer(reader, "hidden_size", 8, 65536);
    config->layers = integer(reader, "num_hidden_layers", 1, 1024);
    config->heads = integer(reader, "num_attention_heads", 1, 1024);
    config->kv_heads =
        integer_or(reader, "num_key_value_heads", 1, 1024, config->heads);
    config->intermediate = integer(reader, "intermediate_size", 8, TSR_K_MAX);
    config->vocab = integer(reader, "vocab_size", 1, 1 << 24);
    config->max_positions =
        integer(reader, "max_position_embeddings", 1, 1 << 28);
    if (reader->rc)
        return;
    if (config->heads % config->kv_heads)
        reader->rc =
            TSR_FAIL(reader->err, TSR_EFORMAT,
                     "'%s': num_attention_heads (%d) is no multiple of "
                     "num_key_value_heads (%d)",
                     reader->name, config->heads, config->kv_heads);
}

static void read_head_dim(struct reader *reader,
                          struct tsr_model_config *config)
{
    if (reader->rc)
        return;
    int otherwise = config->architecture == TSR_QWEN3
                        ? 128
                        : config->hidden / config->heads;
    config->head_dim = integer_or(reader, "head_dim", 2, 1024, otherwise);
    if (reader->rc)
        return;
    if (!get(reader, "head_dim") && config->architecture != TSR_QWEN3 &&
        config->hidden % config->heads)
        reader->rc =
            TSR_FAIL(reader->err, TSR_EFORMAT,
                     "'%s': hidden_size (%d) is no multiple of "
                     "num_attention_heads (%d) and there is no head_dim",
                     reader->name, config->hidden, config->heads);
    else if (config->head_dim % 2 || config->head_dim < 2)
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s': head_dim is %d; RoPE needs an even one",
                              reader->name, config->head_dim);
    else if (config->head_dim * config->heads > TSR_K_MAX)
        reader->rc =
            TSR_FAIL(reader->err, TSR_EUNSUPPORTED,
                     "'%s': num_attention_heads (%d) times head_dim "
                     "(%d) is more than %d",
                     reader->name, config->heads, config->head_dim, TSR_K_MAX);
}

static void read_rope_scaling(struct reader *reader, struct tsr_rope *rope)
{
    const char *type = string_or(reader, "type", "default");
    type = string_or(reader, "rope_type", type);
    if (reader->rc || strcmp(type, "default") == 0)
        return;
    if (strcmp(type, "linear") == 0) {
        rope->type = TSR_ROPE_LINEAR;
    } else if (strcmp(type, "llama3") == 0) {
        rope->type = TSR_ROPE_LLAMA3;
    } else {
        reader->rc = TSR_FAIL(reader->err, TSR_EUNSUPPORTED,
                              "'%s': the RoPE type '%.40s' is not supported; "
                              "supported are default, linear, llama3",
                              reader->name, type);
        return;
    }
    rope->factor = real_of(reader, "factor", need(reader, "factor"), 1, 1e6);
    if (rope->type == TSR_ROPE_LINEAR)
        return;
    rope->low_frequency = real_of(reader, "low_freq_factor",
                                  need(reader, "low_freq_factor"), 1e-3, 1e6);
    rope->high_frequency = real_of(reader, "high_freq_factor",
                                   need(reader, "high_freq_factor"), 1e-3, 1e6);
    rope->original_positions =
        integer(reader, "original_max_position_embeddings", 1, 1 << 28);
    if (!reader->rc && rope->high_frequency <= rope->low_frequency)
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s': high_freq_factor must be more than "
                              "low_freq_factor",
                              reader->name);
}

/* transformers 5 writes rope_parameters in place of both older keys. */
static void read_rope(struct reader *reader, struct tsr_rope *rope)
{
    const json_t *parameters = get(reader, "rope_parameters");
    const json_t *scaling = get(reader, "rope_scaling");
    const char *key = parameters ? "rope_parameters" : "rope_scaling";
    const json_t *object = parameters ? parameters : scaling;
    const json_t *theta = get(reader, "rope_theta");
    rope->type = TSR_ROPE_DEFAULT;
    rope->factor = 1;
    rope->theta = 10000;
    if (reader->rc)
        return;
    if (object && !json_is_object(object)) {
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s': %s is neither null nor an object",
                              reader->name, key);
        return;
    }
    if (object) {
        struct reader inner = *reader;
        inner.object = object;
        read_rope_scaling(&inner, rope);
        theta = get(&inner, "rope_theta") ? get(&inner, "rope_theta") : theta;
        reader->rc = inner.rc;
    }
    if (theta)
        rope->theta = real_of(reader, "rope_theta", theta, 1, 1e12);
}

static void read_switches(struct reader *reader,
                          struct tsr_model_config *config)
{
    enum tsr_architecture architecture = config->architecture;
    int bias = boolean_or(reader, "attention_bias", 0);
    int llama = architecture == TSR_LLAMA;
    /* Qwen2 always has biases on q, k and v and has no key for them. */
    config->qkv_bias = architecture == TSR_QWEN2 ||
                       (bias && (llama || architecture == TSR_QWEN3));
    config->o_bias = bias && (llama || architecture == TSR_QWEN3);
    config->mlp_bias = boolean_or(reader, "mlp_bias", 0) && llama;
    config->qk_norm = architecture == TSR_QWEN3;
    config->tied_embeddings = boolean_or(reader, "tie_word_embeddings", 0);
    int window = integer_or(reader, "sliding_window", 0, 1 << 28, 0);
    int qwen = architecture == TSR_QWEN2 || architecture == TSR_QWEN3;
    if (qwen && !boolean_or(reader, "use_sliding_window", 0))
        window = 0;
    config->sliding_window = llama ? 0 : window;
    config->norm_eps = real_of(reader, "rms_norm_eps",
                               need(reader, "rms_norm_eps"), 1e-12, 0.1);
    const char *activation = string_or(reader, "hidden_act", "silu");
    if (!reader->rc && strcmp(activation, "silu") != 0)
        reader->rc = TSR_FAIL(reader->err, TSR_EUNSUPPORTED,
                              "'%s': the activation '%.40s' (hidden_act) is "
                              "not supported; supported is silu",
                              reader->name, activation);
    const json_t *partial = get(reader, "partial_rotary_factor");
    if (!reader->rc && partial && json_number_value(partial) != 1.0)
        reader->rc = TSR_FAIL(reader->err, TSR_EUNSUPPORTED,
                              "'%s': a partial_rotary_factor other than 1 is "
                              "not supported",
                              reader->name);
}

static void read_tokens(struct reader *reader, struct tsr_model_config *config)
{
    int last = config->vocab - 1;
    config->bos = integer_or(reader, "bos_token_id", 0, last, -1);
    const json_t *eos = get(reader, "eos_token_id");
    if (reader->rc || !eos)
        return;
    if (!json_is_array(eos)) {
        config->eos[0] = integer_of(reader, "eos_token_id", eos, 0, last);
        config->eos_count = 1;
        return;
    }
    if (json_array_size(eos) > TSR_EOS_MAX) {
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s': eos_token_id has %zu ids, more than %d",
                              reader->name, json_array_size(eos), TSR_EOS_MAX);
        return;
    }
    for (size_t i = 0; i < json_array_size(eos); i++)
        config->eos[config->eos_count++] =
            integer_of(reader, "eos_token_id", json_array_get(eos, i), 0, last);
}

static void read_our_quantization(struct reader *reader,
                                  struct tsr_quantization *out)
{
    const char *layout = string_or(reader, "layout", "");
    const char *weights = string_or(reader, "weights", "");
    const char *kv = string_or(reader, "kv", "kv4");
    integer(reader, "version", CONFIG_VERSION, CONFIG_VERSION);
    if (reader->rc)
        return;
    if (strcmp(layout, TSR_LAYOUT_NAME) != 0)
        reader->rc =
            TSR_FAIL(reader->err, TSR_EUNSUPPORTED,
                     "'%s': the weight layout is '%.40s' but this build reads "
                     "'" TSR_LAYOUT_NAME "'; quantise the model again",
                     reader->name, layout);
    else if (tsr__weight_format_parse(weights, &out->format))
        reader->rc =
            TSR_FAIL(reader->err, TSR_EFORMAT,
                     "'%s': quantization_config.weights is '%.40s'; "
                     "it must be one of %s",
                     reader->name, weights, tsr__weight_format_names());
    else if (strcmp(kv, "kv4") && strcmp(kv, "kv8") && strcmp(kv, "kv16"))
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s': quantization_config.kv is '%.40s'; it "
                              "must be one of kv4, kv8, kv16",
                              reader->name, kv);
    if (reader->rc)
        return;
    int group = (int)tsr__weight_group(out->format);
    group = group ? group : -1; /* -1: a row is one group */
    if (integer_or(reader, "group_size", -1, 1 << 20, group) != group &&
        !reader->rc)
        reader->rc = TSR_FAIL(reader->err, TSR_EFORMAT,
                              "'%s': quantization_config.group_size does not "
                              "belong to %s",
                              reader->name, weights);
    snprintf(out->kv, sizeof out->kv, "%s", kv);
    const char *source = string_or(reader, "source", "");
    if (strlen(source) < sizeof out->source)
        snprintf(out->source, sizeof out->source, "%s", source);
}

static void read_quantization(struct reader *reader,
                              struct tsr_model_config *config)
{
    const json_t *object = get(reader, "quantization_config");
    if (reader->rc || !object)
        return;
    struct reader inner = *reader;
    inner.object = object;
    const char *method = string_or(&inner, "quant_method", "?");
    if (!inner.rc && !json_object_get(object, "layout"))
        inner.rc = TSR_FAIL(reader->err, TSR_EUNSUPPORTED,
                            "'%s': the model is already quantised with "
                            "'%.40s'; give the fp16 model",
                            reader->name, method);
    read_our_quantization(&inner, &config->quantization);
    reader->rc = inner.rc;
    config->quantized = 1;
    snprintf(config->quantization.method, sizeof config->quantization.method,
             "%.30s", method);
}

int tsr__config_parse(struct tsr_model_config *out, const char *text,
                      size_t size, const char *name, struct tsr_error *err)
{
    struct tsr_model_config config = {.bos = -1};
    json_t *json = tsr__json_parse(text, size, name, err);
    if (!json)
        return TSR_EFORMAT;
    struct reader reader = {.name = name, .object = json, .err = err};
    if (!json_is_object(json))
        reader.rc =
            TSR_FAIL(err, TSR_EFORMAT,
                     "'%s' is not a model's configuration: no object", name);
    read_architecture(&reader, &config);
    read_shape(&reader, &config);
    read_head_dim(&reader, &config);
    read_rope(&reader, &config.rope);
    read_switches(&reader, &config);
    read_tokens(&reader, &config);
    read_quantization(&reader, &config);
    json_decref(json);
    if (!reader.rc)
        *out = config;
    return reader.rc;
}

int tsr__config_read(struct tsr_model_config *out, const char *path,
                     struct tsr_error *err)
{
    struct stat st;
    char *text, *name;
    size_t size, room = strlen(path) + sizeof "/config.json";
    name = tsr__malloc(room);
    if (!name)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading '%s'", path);
    int folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    snprintf(name, room, "%s%s", path, folder ? "/config.json" : "");
    int rc = tsr__file_read(name, CONFIG_LIMIT, &text, &size, err);
    if (!rc) {
        rc = tsr__config_parse(out, text, size, name, err);
        tsr__free(text);
    }
    tsr__free(name);
    return rc;
}

int tsr__config_source(const struct tsr_model_config *config,
                       const char *folder, char *out, size_t room)
{
    const char *source = config->quantization.source;
    int absolute = source[0] == '/';
    if (!source[0])
        return -1;
    int used = snprintf(out, room, "%s%s%s", absolute ? "" : folder,
                        absolute ? "" : "/", source);
    return used < 0 || (size_t)used >= room ? -1 : 0;
}

struct tsr_linear_shape tsr__config_linear(
    const struct tsr_model_config *config, enum tsr_linear_kind kind)
{
    size_t hidden = (size_t)config->hidden;
    size_t inner = (size_t)config->intermediate;
    size_t query = (size_t)config->heads * (size_t)config->head_dim;
    size_t key = (size_t)config->kv_heads * (size_t)config->head_dim;
    struct tsr_linear_shape shape = {0, 0, 0};
    switch (kind) {
    case TSR_QKV:
        shape = (struct tsr_linear_shape){query + 2 * key, hidden,
                                          config->qkv_bias};
        break;
    case TSR_O:
        shape = (struct tsr_linear_shape){hidden, query, config->o_bias};
        break;
    case TSR_GATE_UP:
        shape = (struct tsr_linear_shape){2 * inner, hidden, config->mlp_bias};
        break;
    case TSR_DOWN:
        shape = (struct tsr_linear_shape){hidden, inner, config->mlp_bias};
        break;
    case TSR_LINEAR_KINDS:
        break;
    }
    return shape;
}

static const struct {
    const char *word, *name;
} LINEARS[] = {
#define NAME(symbol, word, name) {word, name},
    TSR_LINEAR_LIST(NAME)
#undef NAME
};

const char *tsr__linear_word(enum tsr_linear_kind kind)
{
    return (unsigned)kind < TSR_LINEAR_KINDS ? LINEARS[kind].word : "?";
}

const char *tsr__linear_name(enum tsr_linear_kind kind)
{
    return (unsigned)kind < TSR_LINEAR_KINDS ? LINEARS[kind].name : "?";
}
