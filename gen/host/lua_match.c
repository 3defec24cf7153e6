/* lua_match.c -- find, match, gmatch and gsub, paying for every step.
**
** Lua's pattern language (reference manual, section 6.4.1). Its own matcher
** backtracks without telling the count hook: two nested quantifiers over 30 KB
** run for minutes. This one takes each step off the work budget of the call.
*/
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gen/host/lua_host.h"

enum { CAPTURES = 32, DEPTH = 200, OPEN = -1, POSITION = -2 };

struct matcher {
    lua_State *L;
    const char *subject, *subject_end, *pattern_end;
    size_t steps;
    int depth;
    int captures;
    struct capture {
        const char *start;
        ptrdiff_t size; /* or OPEN, POSITION */
    } capture[CAPTURES];
};

static const char *match(struct matcher *m, const char *s, const char *p);

static void step(struct matcher *m)
{
    if (++m->steps < 1024)
        return;
    gen_work_spend(m->L, m->steps);
    m->steps = 0;
}

static _Noreturn void bad_pattern(struct matcher *m, const char *why)
{
    luaL_error(m->L, "malformed pattern: %s", why); /* does not return */
    abort();
}

/* `p` is on an item; returns what follows it (its suffix, or the next). */
static const char *item_end(struct matcher *m, const char *p)
{
    char c = *p++;
    if (c == '%') {
        if (p == m->pattern_end)
            bad_pattern(m, "it ends with '%'");
        return p + 1;
    }
    if (c != '[')
        return p;
    if (p < m->pattern_end && *p == '^')
        p++;
    do {
        if (p >= m->pattern_end)
            bad_pattern(m, "']' is missing");
        c = *p++;
        if (c == '%')
            p++;
    } while (p >= m->pattern_end || *p != ']');
    return p + 1;
}

static int in_class(int c, int class)
{
    int is;
    switch (tolower(class)) {
    case 'a':
        is = isalpha(c);
        break;
    case 'c':
        is = iscntrl(c);
        break;
    case 'd':
        is = isdigit(c);
        break;
    case 'g':
        is = isgraph(c);
        break;
    case 'l':
        is = islower(c);
        break;
    case 'p':
        is = ispunct(c);
        break;
    case 's':
        is = isspace(c);
        break;
    case 'u':
        is = isupper(c);
        break;
    case 'w':
        is = isalnum(c);
        break;
    case 'x':
        is = isxdigit(c);
        break;
    default:
        return class == c;
    }
    return isupper(class) ? !is : !!is;
}

/* `p` is on '[', `end` on its ']'. */
static int in_set(int c, const char *p, const char *end)
{
    int found = 0, negated = *++p == '^';
    for (p += negated; p < end; p++) {
        if (*p == '%') {
            p++;
            found |= in_class(c, (unsigned char)*p);
        } else if (p[1] == '-' && p + 2 < end) {
            found |= (unsigned char)*p <= c && c <= (unsigned char)p[2];
            p += 2;
        } else {
            found |= (unsigned char)*p == c;
        }
    }
    return found != negated;
}

/* Whether the single item at `p` (which ends at `end`) takes *s. */
static int takes(struct matcher *m, const char *s, const char *p,
                 const char *end)
{
    step(m);
    if (s >= m->subject_end)
        return 0;
    int c = (unsigned char)*s;
    switch (*p) {
    case '.':
        return 1;
    case '%':
        return in_class(c, (unsigned char)p[1]);
    case '[':
        return in_set(c, p, end - 1);
    default:
        return (unsigned char)*p == c;
    }
}

/* Longest run first ('*', '+'), giving back one at a time. */
static const char *match_longest(struct matcher *m, const char *s,
                                 const char *p, const char *end, int least)
{
    ptrdiff_t count = 0;
    while (takes(m, s + count, p, end))
        count++;
    for (; count >= least; count--) {
        const char *found = match(m, s + count, end + 1);
        if (found)
            return found;
    }
    return NULL;
}

/* Shortest run first ('-'). */
static const char *match_shortest(struct matcher *m, const char *s,
                                  const char *p, const char *end)
{
    for (;; s++) {
        const char *found = match(m, s, end + 1);
        if (found)
            return found;
        if (!takes(m, s, p, end))
            return NULL;
    }
}

static const char *match_item(struct matcher *m, const char *s, const char *p)
{
    const char *end = item_end(m, p), *found;
    switch (end < m->pattern_end ? *end : 0) {
    case '?':
        if (takes(m, s, p, end) && (found = match(m, s + 1, end + 1)))
            return found;
        return match(m, s, end + 1);
    case '*':
        return match_longest(m, s, p, end, 0);
    case '+':
        return match_longest(m, s, p, end, 1);
    case '-':
        return match_shortest(m, s, p, end);
    default:
        return takes(m, s, p, end) ? match(m, s + 1, end) : NULL;
    }
}

/* %bxy; `p` is on x. */
static const char *match_balance(struct matcher *m, const char *s,
                                 const char *p)
{
    if (p + 1 >= m->pattern_end)
        bad_pattern(m, "%b needs two characters");
    if (s >= m->subject_end || *s != *p)
        return NULL;
    size_t open = 1;
    for (s++; s < m->subject_end; s++) {
        step(m);
        if (*s == p[1]) {
            if (--open == 0)
                return match(m, s + 1, p + 2);
        } else if (*s == *p) {
            open++;
        }
    }
    return NULL;
}

/* %f[set]; `p` is on '['. */
static const char *match_frontier(struct matcher *m, const char *s,
                                  const char *p)
{
    if (p >= m->pattern_end || *p != '[')
        bad_pattern(m, "%f needs a set");
    const char *end = item_end(m, p);
    int before = s == m->subject ? 0 : (unsigned char)s[-1];
    int here = s == m->subject_end ? 0 : (unsigned char)*s;
    if (in_set(before, p, end - 1) || !in_set(here, p, end - 1))
        return NULL;
    return match(m, s, end);
}

static const char *match_reference(struct matcher *m, const char *s, int index,
                                   const char *p)
{
    if (index < 0 || index >= m->captures || m->capture[index].size == OPEN)
        bad_pattern(m, "no such capture");
    const struct capture *capture = &m->capture[index];
    size_t size = capture->size == POSITION ? 0 : (size_t)capture->size;
    m->steps += size / 16;
    if ((size_t)(m->subject_end - s) < size ||
        memcmp(s, capture->start, size) != 0)
        return NULL;
    return match(m, s + size, p);
}

static const char *match_open(struct matcher *m, const char *s, const char *p)
{
    int position = p + 1 < m->pattern_end && p[1] == ')';
    if (m->captures == CAPTURES)
        bad_pattern(m, "too many captures");
    m->capture[m->captures].start = s;
    m->capture[m->captures].size = position ? POSITION : OPEN;
    m->captures++;
    const char *found = match(m, s, p + 1 + position);
    if (!found)
        m->captures--;
    return found;
}

static const char *match_close(struct matcher *m, const char *s, const char *p)
{
    int index = m->captures - 1;
    while (index >= 0 && m->capture[index].size != OPEN)
        index--;
    if (index < 0)
        bad_pattern(m, "')' without '('");
    m->capture[index].size = s - m->capture[index].start;
    const char *found = match(m, s, p + 1);
    if (!found)
        m->capture[index].size = OPEN;
    return found;
}

static const char *match_escape(struct matcher *m, const char *s, const char *p)
{
    char c = p + 1 < m->pattern_end ? p[1] : 0;
    if (c == 'b')
        return match_balance(m, s, p + 2);
    if (c == 'f')
        return match_frontier(m, s, p + 2);
    if (c >= '0' && c <= '9')
        return match_reference(m, s, c - '1', p + 2);
    return match_item(m, s, p);
}

/* Plain items without a suffix are followed in a loop, so that only what may
** backtrack costs depth. */
static int is_plain(struct matcher *m, const char *p, const char **end)
{
    if (*p == '(' || *p == ')' || *p == '$')
        return 0;
    if (*p == '%' && p + 1 < m->pattern_end &&
        (p[1] == 'b' || p[1] == 'f' || isdigit((unsigned char)p[1])))
        return 0;
    *end = item_end(m, p);
    return *end >= m->pattern_end || !strchr("?*+-", **end);
}

/* Where a match of the pattern at `p` against the subject at `s` ends. */
static const char *match(struct matcher *m, const char *s, const char *p)
{
    const char *end, *found = NULL;
    if (++m->depth > DEPTH)
        luaL_error(m->L, "pattern too complex");
    step(m);
    for (; p < m->pattern_end && is_plain(m, p, &end); p = end, s++)
        if (!takes(m, s, p, end))
            goto done;
    if (p >= m->pattern_end)
        found = s;
    else if (*p == '(')
        found = match_open(m, s, p);
    else if (*p == ')')
        found = match_close(m, s, p);
    else if (*p == '$' && p + 1 == m->pattern_end)
        found = s == m->subject_end ? s : NULL;
    else if (*p == '%')
        found = match_escape(m, s, p);
    else
        found = match_item(m, s, p);
done:
    m->depth--;
    return found;
}

static void matcher_init(struct matcher *m, lua_State *L, int subject,
                         int pattern, const char **p)
{
    size_t size;
    memset(m, 0, sizeof *m);
    m->L = L;
    m->subject = luaL_checklstring(L, subject, &size);
    m->subject_end = m->subject + size;
    *p = luaL_checklstring(L, pattern, &size);
    m->pattern_end = *p + size;
}

static const char *try_at(struct matcher *m, const char *s, const char *p)
{
    m->depth = 0;
    m->captures = 0;
    return match(m, s, p);
}

/* Pushes capture `index`; 0 without captures is the whole match. */
static void push_capture(struct matcher *m, int index, const char *s,
                         const char *end)
{
    if (m->captures == 0 && index == 0) {
        lua_pushlstring(m->L, s, (size_t)(end - s));
        return;
    }
    if (index >= m->captures)
        bad_pattern(m, "no such capture");
    const struct capture *capture = &m->capture[index];
    if (capture->size == OPEN)
        bad_pattern(m, "'(' without ')'");
    if (capture->size == POSITION)
        lua_pushinteger(m->L, capture->start - m->subject + 1);
    else
        lua_pushlstring(m->L, capture->start, (size_t)capture->size);
}

static int push_captures(struct matcher *m, const char *s, const char *end)
{
    int count = m->captures ? m->captures : 1;
    luaL_checkstack(m->L, count, "captures");
    for (int i = 0; i < count; i++)
        push_capture(m, i, s, end);
    return count;
}

/* A start position as string functions take it, 1-based or from the end;
** NULL when it is behind the subject. */
static const char *start_at(const struct matcher *m, lua_Integer start)
{
    lua_Integer size = m->subject_end - m->subject;
    if (start < 0)
        start = start + size + 1 > 1 ? start + size + 1 : 1;
    if (start == 0)
        start = 1;
    return start > size + 1 ? NULL : m->subject + start - 1;
}

static int find_plain(struct matcher *m, const char *s, const char *p)
{
    size_t size = (size_t)(m->pattern_end - p);
    const char *found = memmem(s, (size_t)(m->subject_end - s), p, size);
    gen_work_spend(m->L, (size_t)(m->subject_end - s) / 16);
    if (!found)
        return 0;
    lua_pushinteger(m->L, found - m->subject + 1);
    lua_pushinteger(m->L, found - m->subject + (lua_Integer)size);
    return 2;
}

static int search(lua_State *L, int find)
{
    struct matcher m;
    const char *p, *end;
    matcher_init(&m, L, 1, 2, &p);
    const char *s = start_at(&m, luaL_optinteger(L, 3, 1));
    int anchored = p < m.pattern_end && *p == '^';
    int count = 0;
    if (s && find && lua_toboolean(L, 4))
        count = find_plain(&m, s, p);
    else if (s)
        for (; s <= m.subject_end; s++) {
            if ((end = try_at(&m, s, p + anchored))) {
                if (!find)
                    return push_captures(&m, s, end);
                lua_pushinteger(L, s - m.subject + 1);
                lua_pushinteger(L, end - m.subject);
                return 2 + (m.captures ? push_captures(&m, s, end) : 0);
            }
            if (anchored)
                break;
        }
    if (!count)
        lua_pushnil(L);
    return count ? count : 1;
}

static int string_find(lua_State *L) /* (text, pattern [, start, plain]) */
{
    return search(L, 1);
}

static int string_match(lua_State *L) /* (text, pattern [, start]) */
{
    return search(L, 0);
}

/* Upvalues: text, pattern, where to go on, where the last match ended. */
static int gmatch_next(lua_State *L)
{
    struct matcher m;
    const char *p, *end;
    lua_settop(L, 0);
    matcher_init(&m, L, lua_upvalueindex(1), lua_upvalueindex(2), &p);
    const char *s = m.subject + lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    for (; s <= m.subject_end; s++) {
        end = try_at(&m, s, p);
        if (!end || end - m.subject == last)
            continue;
        lua_pushinteger(L, end - m.subject);
        lua_copy(L, -1, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(&m, s, end);
    }
    return 0;
}

static int string_gmatch(lua_State *L) /* (text, pattern) -> iterator */
{
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

/* Adds a replacement string, in which %1 is a capture and %% a percent. */
static void add_string(struct matcher *m, luaL_Buffer *out, const char *s,
                       const char *end)
{
    size_t size;
    const char *text = lua_tolstring(m->L, 3, &size);
    for (const char *at = text; at < text + size; at++) {
        if (*at != '%') {
            luaL_addchar(out, *at);
            continue;
        }
        at++;
        if (at < text + size && *at == '%')
            luaL_addchar(out, '%');
        else if (at < text + size && *at == '0')
            luaL_addlstring(out, s, (size_t)(end - s));
        else if (at < text + size && isdigit((unsigned char)*at)) {
            push_capture(m, *at - '1', s, end);
            luaL_addvalue(out);
        } else
            luaL_error(m->L, "gsub: '%%' in the replacement needs a digit");
    }
}

/* Adds what replaces the match s..end: the original where the table or the
** function says nil or false. */
static void add_replacement(struct matcher *m, luaL_Buffer *out, const char *s,
                            const char *end, int type)
{
    lua_State *L = m->L;
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_string(m, out, s, end);
        return;
    }
    if (type == LUA_TTABLE) {
        push_capture(m, 0, s, end);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, s, end), 1);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, s, (size_t)(end - s));
    } else if (lua_isstring(L, -1)) {
        luaL_addvalue(out);
    } else {
        luaL_error(L, "gsub: the replacement is a %s", luaL_typename(L, -1));
    }
}

static int string_gsub(lua_State *L) /* (text, pattern, with [, most]) */
{
    struct matcher m;
    luaL_Buffer out;
    const char *p, *end, *last = NULL;
    matcher_init(&m, L, 1, 2, &p);
    int type = lua_type(L, 3);
    lua_Integer most = luaL_optinteger(L, 4, m.subject_end - m.subject + 1),
                count = 0;
    int anchored = p < m.pattern_end && *p == '^';
    luaL_argexpected(L,
                     type == LUA_TSTRING || type == LUA_TNUMBER ||
                         type == LUA_TTABLE || type == LUA_TFUNCTION,
                     3, "string/table/function");
    luaL_buffinit(L, &out);
    const char *s = m.subject;
    while (count < most) {
        end = try_at(&m, s, p + anchored);
        if (end && end != last) {
            count++;
            add_replacement(&m, &out, s, end, type);
            s = last = end;
        } else if (s < m.subject_end) {
            luaL_addchar(&out, *s++);
        } else {
            break;
        }
        if (anchored)
            break;
    }
    luaL_addlstring(&out, s, (size_t)(m.subject_end - s));
    luaL_pushresult(&out);
    lua_pushinteger(L, count);
    return 2;
}

void gen_match_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"find", string_find},
                                         {"gmatch", string_gmatch},
                                         {"gsub", string_gsub},
                                         {"match", string_match},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
