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
** are found at the access instead, with emu_hazard_is_before letting pass what
*a
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

/* Plain reads that a worker puts off; further ones are taken at once. */
static const size_t max_reads = (size_t)1 << 20;

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

/* NULL when there is none. */
static struct hazard_page *find_page(struct hazard_shadow *shadow,
                                     uint64_t number)
{
    struct hazard_page **recent = &shadow->recent[number % HAZARD_RECENT];
    if (*recent && (*recent)->number == number)
        return *recent;
    struct hazard_page *page =
        shadow->slots ? *find_slot(shadow, number) : NULL;
    if (page)
        *recent = page;
    return page;
}

/* NULL: no memory, or the limit is reached. */
static struct hazard_page *take_page(struct hazard_shadow *shadow,
                                     uint64_t number, uint32_t shift)
{
    struct hazard_page *page = find_page(shadow, number);
    return page ? page : make_page(shadow, number, shift);
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

void emu_hazard_shadow_release(struct hazard_shadow *shadow)
{
    for (size_t i = 0; i < shadow->slots; i++) {
        struct hazard_page *page = shadow->slot[i];
        for (int c = 0; page && c < CLASSES; c++)
            tsr__free(page->keys[c]);
        tsr__free(page);
    }
    tsr__free(shadow->slot);
    tsr__free(shadow->read);
    emu_hazard_handshakes_release(shadow);
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
    if (emu_hazard_is_before(block, block_of(key),
                             (uint32_t)(key >> 24) & 0xff))
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

/* The page of `address` with room for keys of `class` at granules of at most
** `shift`; NULL without memory. */
static struct hazard_page *open_page(struct hazard_shadow *shadow,
                                     uint64_t address, uint32_t shift,
                                     enum class class)
{
    struct hazard_page *page = take_page(shadow, address >> PAGE_SHIFT, shift);
    if (!page || (page->shift > shift && refine(shadow, page, shift)))
        return NULL;
    if (!page->keys[class])
        page->keys[class] = make_keys(shadow, page->shift);
    return page->keys[class] ? page : NULL;
}

/* Adds the key to the granules of [address, end), which lie in the page. */
static void mark_page(struct hazard_page *page, enum class class,
                      uint64_t address, uint64_t end, uint64_t key)
{
    size_t first = (size_t)(address & (PAGE - 1)) >> page->shift;
    size_t last = (size_t)((end - 1) & (PAGE - 1)) >> page->shift;
    for (size_t g = first; g <= last; g++)
        add_key(&page->keys[class][g], key);
}

/* Bytes [address, end) that lie in one page. */
static void visit_page(const struct visit *v, uint64_t address, uint64_t end)
{
    struct emu_hazard_worker *worker = v->block->worker;
    struct hazard_page *page =
        open_page(&worker->shadow, address, v->shift, v->class);
    if (!page)
        return;
    size_t first = (size_t)(address & (PAGE - 1)) >> page->shift;
    size_t last = (size_t)((end - 1) & (PAGE - 1)) >> page->shift;
    if (worker->owner->setup.ordered && may_conflict(v, page))
        for (size_t g = first; g <= last; g++)
            check_ordered(v, page, g);
    mark_page(page, v->class, address, end, v->key);
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
static uint32_t shift_of(uint64_t begin, uint64_t end)
{
    return (uint32_t)__builtin_ctzll(begin | end | PAGE);
}

/* Plain reads of an unordered launch. Most of them are of memory that nobody
** writes, which only the end of the launch tells; until then they are kept in
** a list. Returns 0 for other accesses, and when it is full. */
static int defer_read(const struct visit *v, struct hazard_read read)
{
    struct emu_hazard_worker *worker = v->block->worker;
    struct hazard_shadow *shadow = &worker->shadow;
    if (v->class != WEAK_READ || worker->owner->setup.ordered)
        return 0;
    if (shadow->reads == shadow->read_capacity &&
        (shadow->reads >= max_reads ||
         tsr__grow((void **)&shadow->read, &shadow->read_capacity,
                   shadow->reads ? shadow->reads * 2 : 4096,
                   sizeof *shadow->read)))
        return 0;
    shadow->read[shadow->reads++] = read;
    return 1;
}

static void visit_run(struct visit *v, uint64_t begin, uint64_t end)
{
    if (begin == end ||
        defer_read(v, (struct hazard_read){begin, end - begin, 0, 1, v->key}))
        return;
    v->shift = shift_of(begin, end);
    visit_range(v, begin, end);
}

/* Is every lane right behind the one `stride` lanes before it? Tiles are often
** copied so, in the order of MMA fragments: 8 rows, 4 lanes along each. */
static int has_stride(const struct emu_access *access, uint32_t stride)
{
    const uint64_t *address = access->address;
    uint64_t gaps = 0;
    if (access->mask != 0xffffffffu ||
        address[stride] != address[0] + access->bytes)
        return 0;
    for (uint32_t lane = stride; lane < 32; lane++)
        gaps |= address[lane] - address[lane - stride] - access->bytes;
    return gaps == 0;
}

/* `rows` runs, that begin with the first lanes. */
static void visit_rows(struct visit *v, uint32_t rows)
{
    const uint64_t *address = v->access->address;
    uint64_t bytes = (uint64_t)v->access->bytes * (32 / rows);
    uint64_t stride = address[1] - address[0], uneven = 0;
    for (uint32_t row = 1; row < rows; row++)
        uneven |= address[row] - address[row - 1] - stride;
    if (!uneven && defer_read(v, (struct hazard_read){address[0], bytes, stride,
                                                      rows, v->key}))
        return;
    for (uint32_t row = 0; row < rows; row++)
        visit_run(v, address[row], address[row] + bytes);
}

/* Lanes next to each other make one run, lanes at one address too. */
static void visit_adjacent(struct visit *v)
{
    const struct emu_access *access = v->access;
    uint64_t begin = 0, end = 0;
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

static void visit_lanes(struct visit *v)
{
    const uint64_t *address = v->access->address;
    uint64_t bytes = v->access->bytes;
    if (emu_hazard_is_row(v->access)) {
        visit_run(v, address[0], address[0] + 32 * bytes);
        return;
    }
    for (uint32_t stride = 4; stride <= 16; stride *= 2) {
        if (!has_stride(v->access, stride))
            continue;
        visit_rows(v, stride);
        return;
    }
    visit_adjacent(v);
}

void emu_hazard_global(struct emu_hazard_block *block,
                       const struct emu_access *access)
{
    int strong = access->order != EMU_WEAK;
    struct visit v = {.block = block, .access = access};
    if (strong)
        emu_hazard_global_handshake(block, access);
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

/* Pages [first, last] hold all that was written. */
struct written {
    uint64_t first, last;
};

/* One row of a read that was put off, where somebody wrote to the page. */
static void apply_row(struct hazard_shadow *into, struct written written,
                      uint64_t begin, uint64_t end, uint64_t key)
{
    uint32_t shift = shift_of(begin, end);
    if ((end - 1) >> PAGE_SHIFT < written.first ||
        begin >> PAGE_SHIFT > written.last)
        return;
    for (uint64_t at = begin, stop; at < end; at = stop) {
        stop = (at | (PAGE - 1)) + 1;
        stop = stop < end ? stop : end;
        struct hazard_page *page = find_page(into, at >> PAGE_SHIFT);
        if (!page || (!page->keys[WEAK_WRITE] && !page->keys[STRONG_WRITE]))
            continue;
        page = open_page(into, at, shift, WEAK_READ);
        if (page)
            mark_page(page, WEAK_READ, at, stop, key);
    }
}

static void apply_read(struct hazard_shadow *into, struct written written,
                       const struct hazard_read *read)
{
    uint64_t begin = read->begin;
    for (uint64_t row = 0; row < read->rows; row++, begin += read->stride)
        apply_row(into, written, begin, begin + read->bytes, read->key);
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

static void apply_reads(struct emu_hazards *hazards, struct written written)
{
    struct hazard_shadow *into = &hazards->workers->shadow;
    for (struct emu_hazard_worker *w = hazards->workers; w; w = w->next)
        for (size_t i = 0; i < w->shadow.reads; i++)
            apply_read(into, written, &w->shadow.read[i]);
}

void emu_hazard_conflicts_finish(struct emu_hazards *hazards)
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
    if (count > 0)
        apply_reads(hazards,
                    (struct written){list[0]->number, list[count - 1]->number});
    for (size_t i = 0; i < count; i++)
        for (size_t g = 0; g < (size_t)PAGE >> list[i]->shift; g++)
            check_granule(hazards, list[i], g);
    tsr__free(list);
}
