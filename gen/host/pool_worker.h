/* pool_worker.h -- the process that compiles, and how it talks to the pool.
**
** Over a socket pair, in the machine's byte order:
**
**     pool -> worker   s32 index of the job
**     worker -> pool   s32 code | u64 size | `size` bytes: for code 0 one byte
**                      "came from the cache" and a gen_binary (binary.h),
**                      else the text of the error
**
** The worker ends when its end of the pair is closed, or the pool dies.
*/
#ifndef GEN_HOST_POOL_WORKER_H
#define GEN_HOST_POOL_WORKER_H

#include "gen/host/nvrtc.h"

#define GEN_POOL_HEADER 12

/* Sends all of it; -1 when the other end is gone (no SIGPIPE). */
int gen_pool_send(int fd, const void *bytes, size_t size);

/* The whole life of a worker, called right after fork. */
void gen_pool_work(const struct gen_job *jobs, int count, int fd)
    __attribute__((noreturn));

#endif
