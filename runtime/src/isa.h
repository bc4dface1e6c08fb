/* Choosing among this machine's instruction sets. */
#ifndef GOSS_ISA_CHOICE_H
#define GOSS_ISA_CHOICE_H

#include "gossamer.h"
#include "kernels.h"

/* The kernels of the instruction set of that name, of the best one for NULL.
 * @return GOSS_OK; GOSS_INVALID_ARGUMENT, and the message lists what there is. */
goss_status goss_isa_choose(const char *isa, const goss_kernels **kernels, goss_error *error);

#endif
