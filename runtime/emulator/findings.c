/* findings.c -- the list of findings: folding, merging, sorting. */
#include "runtime/emulator/findings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"

static const struct {
    const char *name;
    const char *meaning;
} kinds[] = {
#define X(symbol, name, text) {name, text},
    EMU_FINDING_LIST(X)
#undef X
};

const char *emu_finding_name(enum emu_finding_kind kind)
{
    return kinds[kind].name;
}

const char *emu_finding_meaning(enum emu_finding_kind kind)
{
    return kinds[kind].meaning;
}

int emu_finding_is_note(enum emu_finding_kind kind)
{
    return strncmp(kinds[kind].meaning, "note:", 5) == 0;
}

/* -- the hash of (kind, instruction) -------------------------------------- */

static size_t hash_of(const struct emu_finding *f)
{
    uint64_t key = (uint64_t)(uintptr_t)f->instruction + (uint64_t)f->kind;
    key *= UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(key >> 29);
}

static int is_same(const struct emu_finding *a, const struct emu_finding *b)
{
    return a->kind == b->kind && a->instruction == b->instruction;
}

/* The slot that holds `f`'s like, or the empty one where it belongs. */
static uint32_t *find_slot(const struct emu_findings *list,
                           const struct emu_finding *f)
{
    size_t mask = list->slots - 1;
    size_t at = hash_of(f) & mask;
    while (list->slot[at] && !is_same(&list->item[list->slot[at] - 1], f))
        at = (at + 1) & mask;
    return &list->slot[at];
}

static int rebuild(struct emu_findings *list, size_t slots)
{
    uint32_t *fresh = tsr__calloc(slots, sizeof *fresh);
    if (!fresh)
        return -1;
    tsr__free(list->slot);
    list->slot = fresh;
    list->slots = slots;
    for (size_t i = 0; i < list->count; i++)
        *find_slot(list, &list->item[i]) = (uint32_t)i + 1;
    return 0;
}

static int make_room(struct emu_findings *list)
{
    if (tsr__grow((void **)&list->item, &list->capacity, list->count + 1,
                  sizeof *list->item))
        return -1;
    if (list->slots < 2 * (list->count + 1))
        return rebuild(list, list->slots ? list->slots * 2 : 64);
    return 0;
}

/* -- folding -------------------------------------------------------------- */

static int is_earlier(const struct emu_finding *a, const struct emu_finding *b)
{
    if (a->block != b->block)
        return a->block < b->block;
    return a->sequence < b->sequence;
}

/* Takes `fresh` with its message, which it owns from now on. */
static void fold(struct emu_findings *list, const struct emu_finding *fresh)
{
    if (make_room(list)) {
        list->failed = 1;
        tsr__free(fresh->message);
        return;
    }
    uint32_t *slot = find_slot(list, fresh);
    if (!*slot) {
        list->item[list->count] = *fresh;
        *slot = (uint32_t)++list->count;
        return;
    }
    struct emu_finding *old = &list->item[*slot - 1];
    uint64_t count = old->count + fresh->count;
    if (is_earlier(fresh, old)) {
        tsr__free(old->message);
        *old = *fresh;
    } else {
        tsr__free(fresh->message);
    }
    old->count = count;
}

/* Counts `f` where an earlier occurrence is already held. */
static int is_known(struct emu_findings *list, const struct emu_finding *f)
{
    if (!list->slots)
        return 0;
    uint32_t *slot = find_slot(list, f);
    if (!*slot || is_earlier(f, &list->item[*slot - 1]))
        return 0;
    list->item[*slot - 1].count++;
    return 1;
}

void emu_findings_addv(struct emu_findings *findings,
                       const struct emu_finding *finding, const char *fmt,
                       va_list args)
{
    char text[1024];
    if (is_known(findings, finding))
        return;
    vsnprintf(text, sizeof text, fmt, args);
    struct emu_finding fresh = *finding;
    fresh.count = 1;
    fresh.message = tsr__strdup(text);
    if (fresh.message)
        fold(findings, &fresh);
    else
        findings->failed = 1;
}

void emu_findings_add(struct emu_findings *findings,
                      const struct emu_finding *finding, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    emu_findings_addv(findings, finding, fmt, args);
    va_end(args);
}

void emu_findings_merge(struct emu_findings *into, struct emu_findings *from)
{
    for (size_t i = 0; i < from->count; i++)
        fold(into, &from->item[i]);
    into->failed |= from->failed;
    into->dropped += from->dropped;
    from->count = 0;
    emu_findings_release(from);
}

/* -- the end -------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    const struct emu_finding *a = left, *b = right;
    if (is_earlier(a, b))
        return -1;
    if (is_earlier(b, a))
        return 1;
    if (a->ptx_line != b->ptx_line)
        return a->ptx_line < b->ptx_line ? -1 : 1;
    return (int)a->kind - (int)b->kind;
}

void emu_findings_sort(struct emu_findings *findings, size_t limit)
{
    if (findings->count > 1)
        qsort(findings->item, findings->count, sizeof *findings->item, compare);
    while (findings->count > limit) {
        tsr__free(findings->item[--findings->count].message);
        findings->dropped++;
    }
    if (findings->slots) {
        memset(findings->slot, 0, findings->slots * sizeof *findings->slot);
        for (size_t i = 0; i < findings->count; i++)
            *find_slot(findings, &findings->item[i]) = (uint32_t)i + 1;
    }
}

void emu_findings_release(struct emu_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        tsr__free(findings->item[i].message);
    tsr__free(findings->item);
    tsr__free(findings->slot);
    *findings = (struct emu_findings){0};
}
