/* pattern.c -- patterns of modifiers: matching and printing. See decode.h. */
#include <string.h>

#include "runtime/emulator/decode.h"

/* A place of a pattern: its alternatives, without the '?'. */
struct place {
    const char *text;
    size_t size;
    int optional;
};

static int split(const char *pattern, struct place place[EMU_PLACES])
{
    int count = 0;
    while (*pattern) {
        size_t size = strcspn(pattern, " ");
        struct place *p = &place[count++];
        p->text = pattern;
        p->optional = pattern[size - 1] == '?';
        p->size = size - (size_t)p->optional;
        pattern += size;
        pattern += *pattern == ' ';
    }
    return count;
}

/* Index of `word` among the alternatives, or -1. */
static int alternative(const struct place *place, const char *word)
{
    const char *at = place->text, *end = at + place->size;
    size_t length = strlen(word);
    for (int index = 0; at < end; index++) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        size_t size = (size_t)((bar ? bar : end) - at);
        if (size == length && memcmp(at, word, size) == 0)
            return index;
        at += size + 1;
    }
    return -1;
}

/* Modifiers of the instruction in the order of patterns. */
struct words {
    const char *word[EMU_PLACES];
    int count;
};

/* ld, st, atom and red take strength, scope and space in any order. */
static int access_class(const char *word)
{
    static const char *const classes[3][9] = {
        {"weak", "volatile", "relaxed", "acquire", "release", "acq_rel",
         "mmio"},
        {"cta", "cluster", "gpu", "sys"},
        {"global", "shared", "shared::cta", "local", "const", "param",
         "param::entry", "param::func"},
    };
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 9 && classes[k][i]; i++)
            if (strcmp(classes[k][i], word) == 0)
                return k;
    return 3;
}

static int order_words(const struct ptx_instruction *in, struct words *out)
{
    const char *root = in->root;
    int access = strcmp(root, "ld") == 0 || strcmp(root, "st") == 0 ||
                 strcmp(root, "atom") == 0 || strcmp(root, "red") == 0;
    if (in->modifier_count > EMU_PLACES)
        return -1;
    out->count = in->modifier_count;
    for (int i = 0; i < in->modifier_count; i++) {
        int k = i;
        out->word[i] = in->modifier[i];
        for (; access && k > 0 &&
               access_class(out->word[k]) < access_class(out->word[k - 1]);
             k--) {
            const char *t = out->word[k];
            out->word[k] = out->word[k - 1];
            out->word[k - 1] = t;
        }
    }
    return 0;
}

static int match_from(struct emu_decoder *d, const struct words *words,
                      const struct place *place, int places, int at,
                      int modifier)
{
    if (at == places)
        return modifier == words->count;
    if (modifier < words->count) {
        const char *word = words->word[modifier];
        int choice = alternative(&place[at], word);
        if (choice >= 0 &&
            match_from(d, words, place, places, at + 1, modifier + 1)) {
            d->word[at] = word;
            d->choice[at] = choice;
            return 1;
        }
    }
    if (!place[at].optional ||
        !match_from(d, words, place, places, at + 1, modifier))
        return 0;
    d->word[at] = NULL;
    d->choice[at] = -1;
    return 1;
}

int emu_pattern_match(struct emu_decoder *d, const char *pattern)
{
    struct place place[EMU_PLACES];
    struct words words;
    int places = split(pattern, place);
    if (order_words(d->in, &words) ||
        !match_from(d, &words, place, places, 0, 0))
        return 0;
    d->places = places;
    d->type = PTX_VOID;
    d->type_choice = 0;
    for (int i = places - 1; i >= 0 && d->type == PTX_VOID; i--) {
        if (!d->word[i])
            continue;
        d->type = ptx_type_find(d->word[i]);
        if (d->type != PTX_VOID)
            d->type_choice = d->choice[i];
    }
    return 1;
}

/* "add{.rn,.rz}[.ftz].f32" */
int emu_print_row(const struct emu_row *row, struct tsr_buffer *out)
{
    struct place place[EMU_PLACES];
    int places = split(row->pattern, place);
    tsr__buffer_addf(out, "%s", row->root);
    for (int i = 0; i < places; i++) {
        const struct place *p = &place[i];
        int many = memchr(p->text, '|', p->size) != NULL;
        tsr__buffer_addf(out, "%s", p->optional ? "[" : many ? "{" : "");
        tsr__buffer_addf(out, ".");
        for (size_t k = 0; k < p->size; k++)
            tsr__buffer_add(out, p->text[k] == '|' ? ",." : &p->text[k],
                            p->text[k] == '|' ? 2 : 1);
        tsr__buffer_addf(out, "%s", p->optional ? "]" : many ? "}" : "");
    }
    tsr__buffer_addf(out, "\n");
    return out->failed;
}
