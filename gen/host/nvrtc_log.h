/* nvrtc_log.h -- reads what NVRTC and ptxas print.
**
**     templates/x.cu.tmpl(42): error: identifier "n" is undefined
**     ptxas /tmp/tmpxft, line 25; error   : Feature 'wgmma' ...
**     ptxas info    : 0 bytes stack frame, 8 bytes spill stores, ...
**     ptxas info    : Used 46 registers, used 1 barriers, 404 bytes cmem[0]
**     ptxas info    : (C7511) Potential Performance Loss: wgmma...
*/
#ifndef GEN_HOST_NVRTC_LOG_H
#define GEN_HOST_NVRTC_LOG_H

#include <stddef.h>

struct gen_nvrtc_log {
    int registers;   /* largest over the functions */
    int stack_bytes; /* largest */
    int spill_bytes; /* stores and loads of all functions */
    int barriers;    /* largest */
    int c75xx;       /* lines that carry a code C7500 .. C7599 */
    int errors;
    int ptxas_line; /* PTX line of the first error when ptxas found it */
};

void gen_nvrtc_log_read(const char *log, struct gen_nvrtc_log *out);

/* Copies the first error line, without trailing space, into `out`; "" when
** the log has none. */
void gen_nvrtc_log_first_error(const char *log, char *out, size_t size);

/* Removes in place the lines that differ from run to run (compile times). */
void gen_nvrtc_log_settle(char *log);

#endif
