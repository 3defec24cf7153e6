/* conflicts.c -- global memory: what two blocks do to the same bytes.
**
** For each granule of memory and each class of access (write or read, weak or
** strong) the shadow keeps two keys, of the lowest and of the highest block:
**
**     63                32 31     24 23              0
**     ├──── block ────────┼─ epoch ─┼─── ptx line ───┤     0: nobody
**
** Lowest and highest do not depend on the order in which blocks ran, so the
** shadows of several workers fold into one, and the conflicts in it are the
** same on any number of threads. In an ordered launch (one thread) conflicts
** are found at the access instead, with hazard_is_before letting pass what a
** hand-shake has put in order.
**
** A page is 16 KiB of guest memory. Its granule is the widest that all accesses
** to the page so far are made of (from the whole page down to a byte), and only
** classes that occurred have keys.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/hazard_state.h"

enum {
    PAGE_SHIFT = 14,
    PAGE = 1 << PAGE_SHIFT,
    MAX_EPOCH = 255,
};

/* Beyond this the shadow takes no new pages: conflicts there go unseen. */
static const size_t max_shadow_bytes = (size_t)1 << 30;

enum class {
    WEAK_WRITE,
    STRONG_WRITE,
    WEAK_READ,
    STRONG_READ,
    CLASSES,
};

/* Which classes conflict with one of these, bit per class. */
static const unsigned conflicting[CLASSES] = {
    [WEAK_WRITE] =
        1 << WEAK_WRITE | 1 << STRONG_WRITE | 1 << WEAK_READ | 1 << STRONG_READ,
    [STRONG_WRITE] = 1 << WEAK_WRITE | 1 << WEAK_READ,
    [WEAK_READ] = 1 << WEAK_WRITE | 1 << STRONG_WRITE,
    [STRONG_READ] = 1 << WEAK_WRITE,
};

struct keys {
    uint64_t high;
    uint64_t low; /* inverted, so that 0 is nobody and larger is lower */
};

struct hazard_page {
    uint64_t number;
    uint32_t shift;
    struct keys *keys[CLASSES];
};

static uint64_t make_key(uint64_t block, uint32_t epoch, int line)
{
    uint64_t e = epoch < MAX_EPOCH ? epoch : MAX_EPOCH;
    return block << 32 | e << 24 | ((uint64_t)line & 0xffffff);
}

static uint32_t block_of(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

static void add_key(struct keys *keys, uint64_t key)
{
    if (key > keys->high)
        keys->high = key;
    if (~key > keys->low)
        keys->low = ~key;
}

/* -- pages ---------------------------------------------------------------- */

static size_t page_hash(uint64_t number)
{
    return (size_t)(number * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

static struct hazard_page **find_slot(const struct hazard_shadow *shadow,
                                      uint64_t number)
{
    size_t mask = shadow->slots - 1;
    size_t at = page_hash(number) & mask;
    while (shadow->slot[at] && shadow->slot[at]->number != number)
        at = (at + 1) & mask;
    return &shadow->slot[at];
}

static int grow_table(struct hazard_shadow *shadow)
{
    struct hazard_page **old = shadow->slot;
    size_t slots = shadow->slots;
    struct hazard_page **fresh =
        tsr__calloc(slots ? slots * 2 : 256, sizeof *fresh);
    if (!fresh)
        return -1;
    shadow->slot = fresh;
    shadow->slots = slots ? slots * 2 : 256;
    for (size_t i = 0; i < slots; i++)
        if (old[i])
            *find_slot(shadow, old[i]->number) = old[i];
    tsr__free(old);
    return 0;
}

static struct hazard_page *make_page(struct hazard_shadow *shadow,
                                     uint64_t number, uint32_t shift)
{
    if (shadow->bytes > max_shadow_bytes)
        return NULL;
    struct hazard_page *page = tsr__calloc(1, sizeof *page);
    if (!page ||
        (shadow->slots < 2 * (shadow->pages + 1) && grow_table(shadow))) {
        tsr__free(page);
        shadow->failed = 1;
        return NULL;
    }
    page->number = number;
    page->shift = shift;
    *find_slot(shadow, number) = page;
    shadow->pages++;
    shadow->bytes += sizeof *page;
    return page;
}

/* NULL: no memory, or the limit is reached. */
static struct hazard_page *take_page(struct hazard_shadow *shadow,
                                     uint64_t number, uint32_t shift)
{
    struct hazard_page **recent = &shadow->recent[number % HAZARD_RECENT];
    if (*recent && (*recent)->number == number)
        return *recent;
    struct hazard_page *page =
        shadow->slots ? *find_slot(shadow, number) : NULL;
    if (!page)
        page = make_page(shadow, number, shift);
    if (page)
        *recent = page;
    return page;
}

static struct keys *make_keys(struct hazard_shadow *shadow, uint32_t shift)
{
    size_t count = (size_t)PAGE >> shift;
    struct keys *keys = tsr__calloc(count, sizeof *keys);
    if (!keys)
        shadow->failed = 1;
    else
        shadow->bytes += count * sizeof *keys;
    return keys;
}

/* Splits the granules of a page: every part inherits the keys of the whole. */
static int refine(struct hazard_shadow *shadow, struct hazard_page *page,
                  uint32_t shift)
{
    uint32_t down = page->shift - shift;
    struct keys *fine[CLASSES] = {0};
    for (int c = 0; c < CLASSES; c++) {
        if (!page->keys[c])
            continue;
        fine[c] = make_keys(shadow, shift);
        if (!fine[c]) {
            for (int d = 0; d < c; d++)
                tsr__free(fine[d]);
            return -1;
        }
        for (size_t i = 0; i < (size_t)PAGE >> shift; i++)
            fine[c][i] = page->keys[c][i >> down];
    }
    for (int c = 0; c < CLASSES; c++) {
        tsr__free(page->keys[c]);
        page->keys[c] = fine[c];
    }
    page->shift = shift;
    return 0;
}

void hazard_shadow_release(struct hazard_shadow *shadow)
{
    for (size_t i = 0; i < shadow->slots; i++) {
        struct hazard_page *page = shadow->slot[i];
        for (int c = 0; page && c < CLASSES; c++)
            tsr__free(page->keys[c]);
        tsr__free(page);
    }
    tsr__free(shadow->slot);
    hazard_handshakes_release(shadow);
    memset(shadow, 0, sizeof *shadow);
}

/* -- findings ------------------------------------------------------------- */

static const struct ptx_instruction *instruction_at(
    const struct ptx_module *module, uint32_t line)
{
    for (int f = 0; f < module->function_count; f++) {
        const struct ptx_function *function = &module->functions[f];
        for (int i = 0; i < function->instruction_count; i++)
            if ((uint32_t)function->instructions[i].line == line)
                return &function->instructions[i];
    }
    return NULL;
}

static int is_write(enum class class)
{
    return class == WEAK_WRITE || class == STRONG_WRITE;
}

static void name_address(const struct emu_hazard_setup *setup, uint64_t address,
                         char *text, size_t size)
{
    struct emu_region region;
    if (setup->find_region &&
        setup->find_region(setup->context, address, &region) &&
        address >= region.base && address - region.base < region.bytes)
        snprintf(text, size, "'%s'+%llu", region.name,
                 (unsigned long long)(address - region.base));
    else
        snprintf(text, size, "address 0x%llx", (unsigned long long)address);
}

static void format_block(const struct emu_hazard_setup *setup, uint32_t linear,
                         uint32_t out[3], char *text, size_t size)
{
    uint32_t gx = setup->grid[0] ? setup->grid[0] : 1;
    uint32_t gy = setup->grid[1] ? setup->grid[1] : 1;
    out[0] = linear % gx;
    out[1] = linear / gx % gy;
    out[2] = linear / gx / gy;
    snprintf(text, size, "(%u,%u,%u)", out[0], out[1], out[2]);
}

static void say_conflict(struct emu_hazards *hazards,
                         struct emu_findings *findings, uint64_t sequence,
                         uint64_t address, uint64_t mine, enum class did,
                         uint64_t other, enum class other_did)
{
    const struct emu_hazard_setup *setup = &hazards->setup;
    char place[160], by[48], self[48];
    uint32_t ignored[3];
    const struct ptx_instruction *in =
        instruction_at(setup->module, (uint32_t)mine & 0xffffff);
    struct emu_finding finding = {.kind = EMU_GLOBAL_CONFLICT,
                                  .instruction = in,
                                  .ptx_line = (int)(mine & 0xffffff),
                                  .block = block_of(mine),
                                  .address = address,
                                  .sequence = sequence};
    if (in && in->loc_file) {
        finding.file = ptx_module_file(setup->module, in->loc_file);
        finding.line = in->loc_line;
    }
    format_block(setup, block_of(mine), finding.block_id, self, sizeof self);
    format_block(setup, block_of(other), ignored, by, sizeof by);
    name_address(setup, address, place, sizeof place);
    emu_findings_add(findings, &finding,
                     "block %s %s %s, which block %s %s at ptx line %u; "
                     "nothing orders the two and not both are atomic",
                     self, is_write(did) ? "writes" : "reads", place, by,
                     is_write(other_did) ? "writes" : "reads",
                     (uint32_t)other & 0xffffff);
}

/* -- accesses ------------------------------------------------------------- */

struct visit {
    struct emu_hazard_block *block;
    const struct emu_access *access;
    enum class class;
    uint64_t key;
    uint32_t shift; /* of this access */
};

/* One key of another block in an ordered launch. Returns 1 if in order. */
static int check_key(const struct visit *v, uint64_t address, uint64_t key,
                     enum class class)
{
    struct emu_hazard_block *block = v->block;
    if (!key || block_of(key) == (uint32_t)block->linear)
        return 1;
    if (hazard_is_before(block, block_of(key), (uint32_t)(key >> 24) & 0xff))
        return 1;
    say_conflict(block->worker->owner, &block->worker->findings,
                 block->sequence++, address, v->key, v->class, key, class);
    return 0;
}

static void check_ordered(const struct visit *v, struct hazard_page *page,
                          size_t granule)
{
    uint64_t address =
        (page->number << PAGE_SHIFT) + ((uint64_t)granule << page->shift);
    for (int c = 0; c < CLASSES; c++) {
        if (!(conflicting[v->class] >> c & 1) || !page->keys[c])
            continue;
        struct keys *keys = &page->keys[c][granule];
        if (!keys->high)
            continue;
        int fine = check_key(v, address, keys->high, (enum class)c);
        if (fine && keys->high != ~keys->low)
            fine = check_key(v, address, ~keys->low, (enum class)c);
        if (fine && is_write(v->class))
            *keys = (struct keys){0}; /* this write comes after them */
    }
}

/* Are there keys on this page that a visit of this class may conflict with? */
static int may_conflict(const struct visit *v, const struct hazard_page *page)
{
    for (int c = 0; c < CLASSES; c++)
        if (page->keys[c] && (conflicting[v->class] >> c & 1))
            return 1;
    return 0;
}

/* Bytes [address, end) that lie in one page. */
static void visit_page(const struct visit *v, uint64_t address, uint64_t end)
{
    struct emu_hazard_worker *worker = v->block->worker;
    struct hazard_shadow *shadow = &worker->shadow;
    struct hazard_page *page =
        take_page(shadow, address >> PAGE_SHIFT, v->shift);
    if (!page || (page->shift > v->shift && refine(shadow, page, v->shift)))
        return;
    if (!page->keys[v->class] &&
        !(page->keys[v->class] = make_keys(shadow, page->shift)))
        return;
    size_t first = (size_t)(address & (PAGE - 1)) >> page->shift;
    size_t last = (size_t)((end - 1) & (PAGE - 1)) >> page->shift;
    if (worker->owner->setup.ordered && may_conflict(v, page))
        for (size_t g = first; g <= last; g++)
            check_ordered(v, page, g);
    struct keys *keys = page->keys[v->class];
    for (size_t g = first; g <= last; g++)
        add_key(&keys[g], v->key);
}

static void visit_range(const struct visit *v, uint64_t address, uint64_t end)
{
    while (address < end) {
        uint64_t stop = (address | (PAGE - 1)) + 1;
        if (stop > end)
            stop = end;
        visit_page(v, address, stop);
        address = stop;
    }
}

/* The widest granule that the bytes [begin, end) are made of whole. */
static void visit_run(struct visit *v, uint64_t begin, uint64_t end)
{
    if (begin == end)
        return;
    v->shift = (uint32_t)__builtin_ctzll(begin | end | PAGE);
    visit_range(v, begin, end);
}

/* Lanes next to each other make one run, lanes at one address too. */
static void visit_lanes(struct visit *v)
{
    const struct emu_access *access = v->access;
    uint64_t begin = 0, end = 0;
    if (hazard_is_row(access)) {
        visit_run(v, access->address[0],
                  access->address[0] + 32 * (uint64_t)access->bytes);
        return;
    }
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint64_t address = access->address[__builtin_ctz(rest)];
        if (end && address == end) {
            end += access->bytes;
        } else if (!end || address + access->bytes != end) {
            visit_run(v, begin, end);
            begin = address;
            end = address + access->bytes;
        }
    }
    visit_run(v, begin, end);
}

void emu_hazard_global(struct emu_hazard_block *block,
                       const struct emu_access *access)
{
    int strong = access->order != EMU_WEAK;
    struct visit v = {.block = block, .access = access};
    if (strong)
        hazard_global_handshake(block, access);
    if (access->kind == EMU_READ)
        v.class = strong ? STRONG_READ : WEAK_READ;
    else
        v.class = strong ? STRONG_WRITE : WEAK_WRITE;
    v.key = make_key(block->linear, block->epoch, access->instruction->line);
    visit_lanes(&v);
}

/* -- the end of an unordered launch --------------------------------------- */

static void fold_page(struct hazard_shadow *into,
                      const struct hazard_page *from)
{
    struct hazard_page *page = take_page(into, from->number, from->shift);
    if (!page || (page->shift > from->shift && refine(into, page, from->shift)))
        return;
    uint32_t up = from->shift - page->shift;
    for (int c = 0; c < CLASSES; c++) {
        if (!from->keys[c])
            continue;
        if (!page->keys[c] && !(page->keys[c] = make_keys(into, page->shift)))
            return;
        for (size_t i = 0; i < (size_t)PAGE >> page->shift; i++) {
            const struct keys *keys = &from->keys[c][i >> up];
            if (!keys->high)
                continue;
            add_key(&page->keys[c][i], keys->high);
            add_key(&page->keys[c][i], ~keys->low);
        }
    }
}

/* A pair of keys from different blocks, if there is one. */
static int find_pair(const struct keys *a, const struct keys *b, uint64_t *mine,
                     uint64_t *other)
{
    uint64_t of_a[2] = {a->high, ~a->low};
    uint64_t of_b[2] = {~b->low, b->high};
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            if (block_of(of_a[i]) == block_of(of_b[j]))
                continue;
            *mine = of_a[i];
            *other = of_b[j];
            return 1;
        }
    }
    return 0;
}

static void check_granule(struct emu_hazards *hazards,
                          const struct hazard_page *page, size_t granule)
{
    uint64_t address =
        (page->number << PAGE_SHIFT) + ((uint64_t)granule << page->shift);
    for (int a = WEAK_WRITE; a <= STRONG_WRITE; a++) {
        if (!page->keys[a] || !page->keys[a][granule].high)
            continue;
        for (int b = a; b < CLASSES; b++) {
            uint64_t mine, other;
            if (!(conflicting[a] >> b & 1) || !page->keys[b] ||
                !page->keys[b][granule].high ||
                !find_pair(&page->keys[a][granule], &page->keys[b][granule],
                           &mine, &other))
                continue;
            say_conflict(hazards, &hazards->workers->findings, UINT64_MAX >> 1,
                         address, mine, (enum class)a, other, (enum class)b);
            return;
        }
    }
}

static int by_number(const void *left, const void *right)
{
    const struct hazard_page *a = *(struct hazard_page *const *)left;
    const struct hazard_page *b = *(struct hazard_page *const *)right;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* Written pages, by address. */
static struct hazard_page **written_pages(struct hazard_shadow *shadow,
                                          size_t *count)
{
    struct hazard_page **list = tsr__malloc((shadow->pages + 1) * sizeof *list);
    *count = 0;
    if (!list) {
        shadow->failed = 1;
        return NULL;
    }
    for (size_t i = 0; i < shadow->slots; i++) {
        struct hazard_page *page = shadow->slot[i];
        if (page && (page->keys[WEAK_WRITE] || page->keys[STRONG_WRITE]))
            list[(*count)++] = page;
    }
    qsort(list, *count, sizeof *list, by_number);
    return list;
}

void hazard_conflicts_finish(struct emu_hazards *hazards)
{
    struct emu_hazard_worker *first = hazards->workers;
    size_t count;
    if (!first || hazards->setup.ordered)
        return;
    for (struct emu_hazard_worker *w = first->next; w; w = w->next)
        for (size_t i = 0; i < w->shadow.slots; i++)
            if (w->shadow.slot[i])
                fold_page(&first->shadow, w->shadow.slot[i]);
    struct hazard_page **list = written_pages(&first->shadow, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t g = 0; g < (size_t)PAGE >> list[i]->shift; g++)
            check_granule(hazards, list[i], g);
    tsr__free(list);
}
