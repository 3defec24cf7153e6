/* main.c -- the `tessera` program: a table of commands. */
#include <stdio.h>
#include <string.h>

#include "autotune/commands/command.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
#define X(name, help) {#name, command_##name, help},
    COMMAND_LIST(X)
#undef X
};

static void print_help(FILE *to)
{
    fprintf(to, "usage: tessera COMMAND [OPTION ...]\n\ncommands:\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n'tessera COMMAND --help' lists its options.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tessera " TSR_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr,
            "tessera: unknown command '%s'; 'tessera --help' lists "
            "them\n",
            argv[1]);
    return 2;
}
