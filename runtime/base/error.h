/* How every failure is reported: one sentence into the caller's goss_error. */
#ifndef GOSS_ERROR_H
#define GOSS_ERROR_H

#include "gossamer.h"

/* Fills error (may be NULL) and returns status, so that a check is one line. Names from a model file go through
 * "%.60s": they can be of any length. */
__attribute__((format(printf, 3, 4))) goss_status goss_fail(goss_error *error, goss_status status, const char *format,
                                                            ...);

goss_status goss_fail_out_of_memory(goss_error *error, size_t bytes, const char *what);

#endif
