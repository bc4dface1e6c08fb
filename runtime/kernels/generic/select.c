/* Machines without an instruction set of their own here. */
#include "kernels.h"

extern const goss_kernels goss_kernels_generic;

const goss_kernels *const *goss_kernels_available(void)
{
    static const goss_kernels *const available[] = {&goss_kernels_generic, NULL};
    return available;
}
