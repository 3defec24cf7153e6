/* versions.h -- versions of what only gen/host may include. */
#ifndef GEN_HOST_VERSIONS_H
#define GEN_HOST_VERSIONS_H

const char *gen_lua_version(void); /* "5.4.4" */

#endif
