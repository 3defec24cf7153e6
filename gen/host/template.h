/* template.h -- the template language: text to Lua.
**
** A template reads as the CUDA it becomes.
**
**     % for i = 0, 3 do            first character %: the rest is Lua
**         acc[${i}] = ${start};    everything else is copied; ${name} is a
**     % end                        hole for one scalar
**
** * ${name} takes a Lua variable: a local of the template (the loop variable
**   above) or else a hole that the family fills. Names are letters, digits and
**   underscores. Strings (one line), integers and booleans fit; a float only if
**   it is integral, and is then printed as the integer it is.
** * Every hole the family fills is a variable in the Lua lines too. Globals
**   cannot be assigned; use locals.
** * % include "lib/types.cuh" splices templates/lib/types.cuh, once. What is
**   included has no holes and sees none; it may include in turn.
** * A hole nobody fills and a hole nobody uses are errors. "Uses" is read off
**   the text, so a hole in a branch not taken counts.
** * "#line N file" appears in the output wherever its lines stop following the
**   template's, but never inside a block comment or after a backslash at the
**   end of a line. Up to two missing lines become blank ones instead.
** * A carriage return before a newline is dropped; a NUL is an error.
**
** Translation keeps line numbers: line N of the template is line N of the Lua,
** so Lua's own messages name the template's line.
*/
#ifndef GEN_HOST_TEMPLATE_H
#define GEN_HOST_TEMPLATE_H

#include <stddef.h>

#include "runtime/base/buffer.h"
#include "runtime/base/error.h"

struct gen_template {
    struct tsr_buffer lua;   /* the chunk */
    struct tsr_buffer names; /* every name a hole or a Lua line mentions, each
                                between newlines */
};

enum gen_template_kind {
    GEN_TEMPLATE,         /* may have holes */
    GEN_TEMPLATE_LIBRARY, /* may not */
};

/* `name` is for messages. Zero the struct before, release it after, also when
** this fails. */
int gen_template_translate(struct gen_template *template, const char *name,
                           const unsigned char *text, size_t size,
                           enum gen_template_kind kind, struct tsr_error *err);
void gen_template_release(struct gen_template *template);
/* Whether the template mentions `name`. */
int gen_template_uses(const struct gen_template *template, const char *name);

#endif
