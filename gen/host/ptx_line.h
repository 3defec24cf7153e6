/* ptx_line.h -- which template line a line of PTX came from. */
#ifndef GEN_HOST_PTX_LINE_H
#define GEN_HOST_PTX_LINE_H

#include <stddef.h>

/* Reads the .file and .loc directives of PTX compiled with line information
** and writes "templates/x.cu.tmpl(42)" for the PTX line `line` (from 1): the
** nearest .loc at or above it. -1 when there is none. A path under the
** current directory is written relative to it. */
int gen_ptx_template_line(const char *ptx, int line, char *where, size_t size);

#endif
