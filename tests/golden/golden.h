/* golden.h -- whole emitted files against the ones in tests/golden.
**
** TSR_GOLDEN_ACCEPT=1 rewrites the files instead (make golden-accept, which
** then shows the difference).
*/
#ifndef TESTS_GOLDEN_GOLDEN_H
#define TESTS_GOLDEN_GOLDEN_H

/* Compares `text` with tests/golden/NAME. Returns 0, or -1 after printing the
** first line that differs, both sides. */
int golden_compare(const char *name, const char *text);

#endif
