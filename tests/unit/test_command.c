/* test_command.c -- option parsing, exit statuses and JSON of the commands. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/commands/command.h"

static const struct option_spec options[] = {
    {"model", "DIR", "a folder"}, {"arg", "ARG", "may be repeated"},
    {"force", NULL, "a flag"},    {"rows", "N", "a number"},
    {"json", NULL, "JSON"},       {"output", "FILE", "a file"},
    {NULL, NULL, NULL},
};

static struct command command;

static int begin(int argc, const char **argv)
{
    return command_begin(&command, argc, (char **)argv, options,
                         "thing --model DIR", "Does things.");
}

#define BEGIN(...)                                               \
    begin((int)(sizeof((const char *[]){"thing", __VA_ARGS__}) / \
                sizeof(char *)),                                 \
          (const char *[]){"thing", __VA_ARGS__})

static void options_stand_as_two_words_or_one(void **state)
{
    (void)state;
    assert_int_equal(
        BEGIN("--model", "a", "--rows=3", "n=4", "-o", "x", "--", "--force"),
        -1);
    assert_string_equal(command_option(&command, "model"), "a");
    assert_string_equal(command_option(&command, "rows"), "3");
    assert_string_equal(command_option(&command, "output"), "x");
    assert_null(command_option(&command, "force"));
    assert_int_equal(command.word_count, 2);
    assert_string_equal(command.words[0], "n=4");
    assert_string_equal(command.words[1], "--force");
    assert_int_equal(command_end(&command, 0), 0);
}

static void a_repeated_option_keeps_every_value_in_order(void **state)
{
    (void)state;
    assert_int_equal(BEGIN("--arg", "1", "--force", "--arg=-2"), -1);
    assert_string_equal(command_option_at(&command, "arg", 0), "1");
    assert_string_equal(command_option_at(&command, "arg", 1), "-2");
    assert_null(command_option_at(&command, "arg", 2));
    assert_string_equal(command_option(&command, "arg"), "-2");
    assert_string_equal(command_option(&command, "force"), "");
    command_end(&command, 0);
}

static void bad_usage_is_exit_status_two(void **state)
{
    (void)state;
    assert_int_equal(BEGIN("--modle", "a"), 2);
    assert_int_equal(BEGIN("--model"), 2);
    assert_int_equal(BEGIN("--force=yes"), 2);
    assert_int_equal(BEGIN("-x"), 2);
    assert_int_equal(BEGIN("--json", "--wrong"), 2);
}

static void numbers_are_whole_and_within_their_range(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "x", "3x", "0", "11", "-1", "1e1", "99999999999999999999"};
    long long value = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(BEGIN("--rows", wrong[i]), -1);
        int rc = command_integer(&command, "rows", 1, 10, &value);
        assert_int_equal(rc, TSR_EUSAGE);
        assert_int_equal(value, 7);
        assert_int_equal(command_end(&command, rc), 2);
    }
    assert_int_equal(BEGIN("--rows", "10"), -1);
    assert_int_equal(command_integer(&command, "rows", 1, 10, &value), 0);
    assert_int_equal(value, 10);
    command_end(&command, 0);
    assert_int_equal(BEGIN("word"), -1);
    assert_int_equal(command_integer(&command, "rows", 1, 10, &value), 0);
    assert_int_equal(value, 10);
    const char *model = "old";
    assert_int_equal(command_require(&command, "model", &model), TSR_EUSAGE);
    assert_string_equal(model, "old");
    command_end(&command, 0);
}

static void failures_are_exit_status_one(void **state)
{
    (void)state;
    assert_int_equal(BEGIN("word"), -1);
    assert_int_equal(
        command_end(&command, TSR_FAIL(&command.err, TSR_EIO, "no")), 1);
}

static void infinities_and_nan_are_strings(void **state)
{
    (void)state;
    const double values[] = {INFINITY, -INFINITY, NAN};
    const char *const words[] = {"inf", "-inf", "nan"};
    for (int i = 0; i < 3; i++) {
        json_t *json = command_json_real(values[i]);
        assert_string_equal(json_string_value(json), words[i]);
        json_decref(json);
    }
    json_t *json = command_json_real(0.5);
    assert_true(json_is_real(json));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_as_two_words_or_one),
        cmocka_unit_test(a_repeated_option_keeps_every_value_in_order),
        cmocka_unit_test(bad_usage_is_exit_status_two),
        cmocka_unit_test(numbers_are_whole_and_within_their_range),
        cmocka_unit_test(failures_are_exit_status_one),
        cmocka_unit_test(infinities_and_nan_are_strings),
    };
    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
