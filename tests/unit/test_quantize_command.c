/* test_quantize_command.c -- `tessera quantize`: what it writes, and that bad
** input gives a status, one line, and no half-written folder.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "autotune/commands/command.h"
#include "gen/quantize/quantize.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/model/quantized.h"
#include "tests/unit/scratch.h"
#include "tests/unit/toy_model.h"

#define TINY "tests/data/models/tessera-tiny"

struct outcome {
    int status;
    char out[1 << 16], err[1 << 14];
};

static void slurp(const char *path, char *to, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(to, 1, room - 1, file) : 0;
    to[size] = 0;
    if (file)
        fclose(file);
}

/* Runs the command in a process of its own with at most `largest` bytes a
** file; arguments end with NULL. */
static struct outcome *run_limited(rlim_t largest, const char *argument, ...)
{
    static struct outcome outcome;
    char *argv[32] = {"quantize"};
    int argc = 1;
    va_list arguments;
    va_start(arguments, argument);
    for (; argument && argc < 31; argument = va_arg(arguments, const char *))
        argv[argc++] = (char *)argument;
    va_end(arguments);
    const char *folder = scratch_folder();
    const char *out = scratch_path(folder, "out");
    const char *err = scratch_path(folder, "err");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {largest, largest};
        if (!freopen(out, "wb", stdout) || !freopen(err, "wb", stderr))
            _exit(99);
        if (largest) {
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &limit);
        }
        int status = command_quantize(argc, argv);
        fflush(NULL);
        _exit(status);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    slurp(out, outcome.out, sizeof outcome.out);
    slurp(err, outcome.err, sizeof outcome.err);
    return &outcome;
}

#define run(...) run_limited(0, __VA_ARGS__, (char *)NULL)

static int exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static const char *new_path(const char *name)
{
    return scratch_path(scratch_folder(), name);
}

static struct tsr_quantized_model *open_quantized(const char *folder)
{
    struct tsr_quantized_model *model;
    struct tsr_error err = {0};
    if (tsr__quantized_open(&model, folder, &err))
        fail_msg("%s", err.text);
    return model;
}

static void same_bytes(const char *a, const char *b)
{
    struct tsr_map x, y;
    assert_int_equal(tsr__map_open(&x, a, NULL), 0);
    assert_int_equal(tsr__map_open(&y, b, NULL), 0);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    tsr__map_release(&x);
    tsr__map_release(&y);
}

/* ---- what it writes --------------------------------------------------------
 */

static void demo_model_is_quantised_in_every_format(void **state)
{
    (void)state;
    static const char *const formats[] = {"w4c", "w4g128", "w4g64"};
    for (int i = 0; i < 3; i++) {
        const char *to = new_path("out");
        struct outcome *got =
            run("--model", TINY, "--method", "rtn", "--weights", formats[i],
                "-o", to, "--kv", "kv8", "--json");
        assert_string_equal(got->err, "");
        assert_int_equal(got->status, 0);
        int lines = 0;
        char *line = strtok(got->out, "\n");
        for (; line; line = strtok(NULL, "\n"), lines++) {
            json_t *json = json_loads(line, 0, NULL);
            assert_non_null(json);
            double error =
                json_number_value(json_object_get(json, "rel_error"));
            if (lines < 16) {
                assert_true(error > 0.05 && error < 0.2);
                assert_non_null(json_object_get(json, "layer"));
            } else {
                assert_int_equal(
                    json_integer_value(json_object_get(json, "linears")), 16);
            }
            json_decref(json);
        }
        assert_int_equal(lines, 17);
        struct tsr_quantized_model *model = open_quantized(to);
        const struct tsr_model_config *config = tsr__quantized_config(model);
        assert_string_equal(config->quantization.method, "rtn");
        assert_string_equal(config->quantization.kv, "kv8");
        assert_int_equal(config->quantization.format, i);
        assert_true(config->norm_eps == 1e-5);
        tsr__quantized_free(model);
        same_bytes(TINY "/tokenizer.json", scratch_path(to, "tokenizer.json"));
        assert_false(exists(scratch_path(to, "goldens.json")));
        char temporary[SCRATCH_ROOM + 8];
        snprintf(temporary, sizeof temporary, "%s.tmp", to);
        assert_false(exists(temporary));
    }
}

static void tensors_that_stay_are_the_same_halves(void **state)
{
    (void)state;
    const char *to = new_path("out");
    assert_int_equal(
        run("--model", TINY, "--method", "rtn", "--weights", "w4g64", "-o", to)
            ->status,
        0);
    struct tsr_safetensors *before;
    struct tsr_quantized_model *model = open_quantized(to);
    const struct tsr_safetensors *after = tsr__quantized_tensors(model);
    assert_int_equal(tsr__safetensors_open(&before, TINY, NULL), 0);
    static const char *const names[] = {
        "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
        "model.layers.3.input_layernorm.weight",
        "model.layers.0.post_attention_layernorm.weight"};
    for (int i = 0; i < 5; i++) {
        const struct tsr_tensor *a = tsr__safetensors_find(before, names[i]);
        const struct tsr_tensor *b = tsr__safetensors_find(after, names[i]);
        assert_int_equal(b->dtype, TSR_F16);
        assert_int_equal(a->bytes, b->bytes);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
    assert_null(
        tsr__safetensors_find(after, "model.layers.0.self_attn.q_proj.weight"));
    tsr__safetensors_free(before);
    tsr__quantized_free(model);
}

static int quantize(const char *model, const char *to,
                    enum tsr_weight_format format, int threads,
                    size_t shard_bytes, struct tsr_error *err)
{
    struct gen_quantize_options options = {.model = model,
                                           .output = to,
                                           .format = format,
                                           .kv = "kv4",
                                           .threads = threads,
                                           .shard_bytes = shard_bytes};
    struct gen_quantize_result result;
    return gen_quantize_folder(&options, &result, err);
}

static void source_is_recorded_as_a_relative_path(void **state)
{
    (void)state;
    struct toy_model toy = TOY_MODEL;
    const char *base = scratch_folder();
    static const char *const places[][3] = {
        {"fp16", "w4", "../fp16"},
        {"fp16", "fp16-w4", "../fp16"},
        {"a/fp16", "a/b/w4", "../../fp16"},
        {"m", "m/w4", ".."},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *from = scratch_path(base, places[i][0]);
        const char *to = scratch_path(base, places[i][1]);
        const char *last = strrchr(places[i][2], '/');
        char source[SCRATCH_ROOM];
        struct stat a, b;
        tsr__make_directories(from, NULL);
        toy_write(&toy, from);
        assert_int_equal(quantize(from, to, TSR_W4C, 1, 0, NULL), 0);
        struct tsr_quantized_model *model = open_quantized(to);
        const struct tsr_model_config *config = tsr__quantized_config(model);
        assert_int_equal(config->quantization.source[0], '.');
        if (last)
            assert_string_equal(config->quantization.source, places[i][2]);
        assert_int_equal(tsr__config_source(config, to, source, sizeof source),
                         0);
        assert_int_equal(stat(source, &a), 0);
        assert_int_equal(stat(from, &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
        assert_int_equal(tsr__config_source(config, to, source, 5), -1);
        tsr__quantized_free(model);
    }
}

static void threads_do_not_change_a_byte(void **state)
{
    (void)state;
    const char *one = new_path("one"), *many = new_path("many");
    assert_int_equal(quantize(TINY, one, TSR_W4G128, 1, 0, NULL), 0);
    assert_int_equal(quantize(TINY, many, TSR_W4G128, 7, 0, NULL), 0);
    same_bytes(scratch_path(one, "model.safetensors"),
               scratch_path(many, "model.safetensors"));
    same_bytes(scratch_path(one, "config.json"),
               scratch_path(many, "config.json"));
}

static void large_models_are_sharded(void **state)
{
    (void)state;
    const char *whole = new_path("whole"), *parts = new_path("parts");
    assert_int_equal(quantize(TINY, whole, TSR_W4C, 2, 0, NULL), 0);
    assert_int_equal(quantize(TINY, parts, TSR_W4C, 2, 1 << 20, NULL), 0);
    assert_false(exists(scratch_path(parts, "model.safetensors")));
    assert_true(exists(scratch_path(parts, "model.safetensors.index.json")));
    struct tsr_safetensors *a, *b;
    assert_int_equal(tsr__safetensors_open(&a, whole, NULL), 0);
    assert_int_equal(tsr__safetensors_open(&b, parts, NULL), 0);
    assert_int_equal(tsr__safetensors_count(a), tsr__safetensors_count(b));
    for (size_t i = 0; i < tsr__safetensors_count(a); i++) {
        const struct tsr_tensor *x = tsr__safetensors_at(a, i);
        const struct tsr_tensor *y = tsr__safetensors_at(b, i);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->bytes, y->bytes);
        assert_memory_equal(x->data, y->data, x->bytes);
    }
    tsr__safetensors_free(a);
    tsr__safetensors_free(b);
    tsr__quantized_free(open_quantized(parts));
}

static void tensors_are_aligned(void **state)
{
    (void)state;
    const char *to = new_path("out");
    struct tsr_safetensors *store;
    assert_int_equal(quantize(TINY, to, TSR_W4G128, 1, 0, NULL), 0);
    assert_int_equal(tsr__safetensors_open(&store, to, NULL), 0);
    for (size_t i = 0; i < tsr__safetensors_count(store); i++) {
        const struct tsr_tensor *tensor = tsr__safetensors_at(store, i);
        size_t power = tensor->bytes & -tensor->bytes;
        assert_int_equal((uintptr_t)tensor->data % (power < 256 ? power : 256),
                         0);
    }
    tsr__safetensors_free(store);
}

static void families_and_types_are_quantised(void **state)
{
    (void)state;
    static const enum tsr_dtype types[] = {TSR_F16, TSR_BF16, TSR_F32};
    for (int i = 0; i < 3; i++) {
        const char *source = scratch_folder(), *to = new_path("out");
        struct toy_model toy = TOY_MODEL;
        toy.dtype = types[i];
        if (i == 1) {
            toy.architecture = "Qwen2ForCausalLM";
            toy.qkv_bias = toy.tied = 1;
        }
        if (i == 2) {
            toy.architecture = "Qwen3ForCausalLM";
            toy.qk_norm = 1;
        }
        toy_write(&toy, source);
        struct tsr_error err = {0};
        if (quantize(source, to, TSR_W4G64, 2, 0, &err))
            fail_msg("%s", err.text);
        struct tsr_quantized_model *model = open_quantized(to);
        const struct tsr_quantized_linear *qkv =
            tsr__quantized_linear(model, 1, TSR_QKV);
        assert_int_equal(qkv->n, 256);
        assert_int_equal(qkv->bias != NULL, i == 1);
        const struct tsr_safetensors *store = tsr__quantized_tensors(model);
        assert_int_equal(tsr__safetensors_find(
                             store, "model.layers.1.self_attn.q_norm.weight") !=
                             NULL,
                         i == 2);
        assert_int_equal(tsr__safetensors_find(store, "lm_head.weight") != NULL,
                         i != 1);
        tsr__quantized_free(model);
    }
}

/* ---- bad input -------------------------------------------------------------
 */

/* Status 1 or 2, one line on stderr with these words, nothing written. */
static void refuses(const struct outcome *got, int status, const char *says,
                    const char *to)
{
    char temporary[SCRATCH_ROOM + 8];
    size_t length = strlen(got->err);
    if (got->status != status || !strstr(got->err, says) || !length ||
        strchr(got->err, '\n') != got->err + length - 1)
        fail_msg("status %d, '%s'; wanted %d, '%s'", got->status, got->err,
                 status, says);
    snprintf(temporary, sizeof temporary, "%s.tmp", to);
    assert_false(exists(temporary));
}

static void bad_usage_is_status_2(void **state)
{
    (void)state;
    const char *to = new_path("out");
    refuses(run("--method", "rtn", "--weights", "w4c", "-o", to), 2, "--model",
            to);
    refuses(run("--model", TINY, "--weights", "w4c", "-o", to), 2, "--method",
            to);
    refuses(run("--model", TINY, "--method", "rtn", "-o", to), 2, "--weights",
            to);
    refuses(run("--model", TINY, "--method", "rtn", "--weights", "w4c"), 2,
            "--output", to);
    refuses(
        run("--model", TINY, "--method", "awq", "--weights", "w4c", "-o", to),
        2, "unknown method 'awq'; there is rtn", to);
    refuses(
        run("--model", TINY, "--method", "rtn", "--weights", "w3", "-o", to), 2,
        "there are w4c, w4g128, w4g64", to);
    refuses(run("--model", TINY, "--method", "rtn", "--weights", "w4c", "--kv",
                "kv2", "-o", to),
            2, "there are kv4, kv8, kv16", to);
    refuses(run("--model", TINY, "--method", "rtn", "--weights", "w4c",
                "--threads", "0", "-o", to),
            2, "--threads", to);
    refuses(run("--model", TINY, "--method", "rtn", "--weights", "w4c", "-o",
                to, "more"),
            2, "'more'", to);
    assert_false(exists(to));
}

#define QUANTIZE(model, to) \
    run("--model", model, "--method", "rtn", "--weights", "w4g128", "-o", to)

static void bad_folders_are_refused(void **state)
{
    (void)state;
    const char *to = new_path("out");
    refuses(QUANTIZE("no/such/model", to), 1, "no/such/model", to);
    refuses(QUANTIZE(scratch_folder(), to), 1, "config.json", to);
    const char *empty = scratch_folder();
    toy_write_config(&TOY_MODEL, empty);
    refuses(QUANTIZE(empty, to), 1, "neither model.safetensors nor", to);
    refuses(QUANTIZE(TINY, "/proc/none/out"), 1, "/proc/none", to);
    refuses(QUANTIZE(TINY, ""), 2, "--output is needed", to);
    assert_false(exists(to));
}

static void existing_output_is_left_alone(void **state)
{
    (void)state;
    const char *to = new_path("out");
    assert_int_equal(QUANTIZE(TINY, to)->status, 0);
    refuses(QUANTIZE(TINY, to), 1, "exists", to);
    /* With --force another one takes its place, whole. */
    assert_int_equal(run("--model", TINY, "--method", "rtn", "--weights", "w4c",
                         "-o", to, "--force")
                         ->status,
                     0);
    struct tsr_quantized_model *model = open_quantized(to);
    assert_int_equal(tsr__quantized_config(model)->quantization.format,
                     TSR_W4C);
    tsr__quantized_free(model);
    char old[SCRATCH_ROOM + 8];
    snprintf(old, sizeof old, "%s.old", to);
    assert_false(exists(old));
}

static void force_replaces_model_folders_only(void **state)
{
    (void)state;
    const char *to = scratch_folder();
    scratch_write(scratch_path(to, "thesis.txt"), "x", 1);
    refuses(run("--model", TINY, "--method", "rtn", "--weights", "w4c", "-o",
                to, "--force"),
            1, "not a model folder", to);
    assert_true(exists(scratch_path(to, "thesis.txt")));
    /* A sub-folder is never removed either. */
    scratch_write(scratch_path(to, "config.json"), "{}", 2);
    mkdir(scratch_path(to, "sub"), 0777);
    refuses(run("--model", TINY, "--method", "rtn", "--weights", "w4c", "-o",
                to, "--force"),
            1, "not a model folder", to);
    to = scratch_folder();
    toy_write(&TOY_MODEL, to);
    refuses(run("--model", to, "--method", "rtn", "--weights", "w4c", "-o", to,
                "--force"),
            1, "is the model itself", to);
    assert_true(exists(scratch_path(to, "model.safetensors")));
}

static void full_disk_leaves_nothing(void **state)
{
    (void)state;
    const char *to = new_path("out");
    refuses(run_limited(1 << 20, "--model", TINY, "--method", "rtn",
                        "--weights", "w4c", "-o", to, (char *)NULL),
            1, "cannot write", to);
    assert_false(exists(to));
}

/* Writes a toy model with one fault and expects the words. */
static void refuses_toy(const struct toy_model *toy, const char *says)
{
    const char *from = scratch_folder();
    toy_write(toy, from);
    const char *to = new_path("out");
    refuses(QUANTIZE(from, to), 1, says, to);
    assert_false(exists(to));
}

static void models_with_a_fault_are_refused_by_tensor(void **state)
{
    (void)state;
    struct toy_model toy = TOY_MODEL;
    toy.without = "model.layers.1.mlp.up_proj.weight";
    refuses_toy(&toy, "no tensor 'model.layers.1.mlp.up_proj.weight'");

    toy = TOY_MODEL;
    toy.extra = "model.layers.0.self_attn.q_proj.bias";
    refuses_toy(&toy, "'model.layers.0.self_attn.q_proj.bias' has no place");

    toy = TOY_MODEL;
    toy.poison = "model.layers.1.self_attn.v_proj.weight";
    toy.poison_value = NAN;
    refuses_toy(&toy, "'model.layers.1.self_attn.v_proj.weight' [0, 3] is not "
                      "a finite number");

    toy = TOY_MODEL;
    toy.poison = "model.embed_tokens.weight";
    toy.poison_value = INFINITY;
    refuses_toy(&toy, "'model.embed_tokens.weight' [3] is not a finite number");

    toy = TOY_MODEL;
    toy.dtype = TSR_F32;
    toy.poison = "model.layers.0.mlp.down_proj.weight";
    toy.poison_value = 70000.0f;
    refuses_toy(&toy, "beyond fp16's largest");
    toy.poison = "model.norm.weight";
    refuses_toy(&toy, "beyond fp16's largest");

    toy = TOY_MODEL;
    toy.dtype = TSR_I16;
    refuses_toy(&toy, "is I16; weights must be F16, BF16 or F32");

    toy = TOY_MODEL; /* K = 192 is no multiple of 128 */
    toy.hidden = 192;
    refuses_toy(&toy, "K must be a multiple of the group, 128");
}

static void model_that_is_not_as_configured_is_refused(void **state)
{
    (void)state;
    const char *from = scratch_folder();
    struct toy_model toy = TOY_MODEL;
    toy_write(&toy, from);
    toy.inner = 384;
    toy_write_config(&toy, from);
    const char *to = new_path("out");
    refuses(QUANTIZE(from, to), 1, "has the shape [256, 128], not [384, 128]",
            to);
    toy = TOY_MODEL;
    toy.hidden = -128;
    toy_write_config(&toy, from);
    refuses(QUANTIZE(from, to), 1, "hidden_size is -128", to);
}

static void truncated_weights_are_refused(void **state)
{
    (void)state;
    const char *from = scratch_folder();
    toy_write(&TOY_MODEL, from);
    assert_int_equal(truncate(scratch_path(from, "model.safetensors"), 50000),
                     0);
    const char *to = new_path("out");
    refuses(QUANTIZE(from, to), 1, "truncated", to);
    assert_false(exists(to));
}

static void quantised_model_is_not_quantised_again(void **state)
{
    (void)state;
    const char *once = new_path("once");
    assert_int_equal(QUANTIZE(TINY, once)->status, 0);
    const char *twice = new_path("twice");
    refuses(QUANTIZE(once, twice), 1, "is quantised already", twice);
}

static void leftovers_of_a_killed_run_are_cleared(void **state)
{
    (void)state;
    const char *to = new_path("out");
    char temporary[SCRATCH_ROOM + 8];
    snprintf(temporary, sizeof temporary, "%s.tmp", to);
    assert_int_equal(mkdir(temporary, 0777), 0);
    scratch_write(scratch_path(temporary, "old.safetensors"), "x", 1);
    /* While another process holds it, it is left alone. */
    int lock = open(temporary, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    struct outcome *got = QUANTIZE(TINY, to);
    assert_int_equal(got->status, 1);
    assert_non_null(strstr(got->err, "being written by another process"));
    assert_true(exists(scratch_path(temporary, "old.safetensors")));
    close(lock);
    assert_int_equal(QUANTIZE(TINY, to)->status, 0);
    assert_false(exists(scratch_path(to, "old.safetensors")));
    assert_false(exists(temporary));
}

static void every_failed_allocation_leaves_nothing(void **state)
{
    (void)state;
    const char *from = scratch_folder(), *to = new_path("out");
    char temporary[SCRATCH_ROOM + 8];
    struct toy_model toy = TOY_MODEL;
    toy.layers = 1;
    toy_write(&toy, from);
    snprintf(temporary, sizeof temporary, "%s.tmp", to);
    for (long n = 1;; n++) {
        tsr__memory_fail_after(n, 1);
        int rc = quantize(from, to, TSR_W4G64, 1, 0, NULL);
        tsr__memory_fail_after(0, 0);
        assert_false(exists(temporary));
        if (!rc) {
            assert_true(n > 50);
            break;
        }
        assert_int_equal(rc, TSR_EMEMORY);
        assert_false(exists(to));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demo_model_is_quantised_in_every_format),
        cmocka_unit_test(tensors_that_stay_are_the_same_halves),
        cmocka_unit_test(source_is_recorded_as_a_relative_path),
        cmocka_unit_test(threads_do_not_change_a_byte),
        cmocka_unit_test(large_models_are_sharded),
        cmocka_unit_test(tensors_are_aligned),
        cmocka_unit_test(families_and_types_are_quantised),
        cmocka_unit_test(bad_usage_is_status_2),
        cmocka_unit_test(bad_folders_are_refused),
        cmocka_unit_test(existing_output_is_left_alone),
        cmocka_unit_test(force_replaces_model_folders_only),
        cmocka_unit_test(full_disk_leaves_nothing),
        cmocka_unit_test(models_with_a_fault_are_refused_by_tensor),
        cmocka_unit_test(model_that_is_not_as_configured_is_refused),
        cmocka_unit_test(truncated_weights_are_refused),
        cmocka_unit_test(quantised_model_is_not_quantised_again),
        cmocka_unit_test(leftovers_of_a_killed_run_are_cleared),
        cmocka_unit_test(every_failed_allocation_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
