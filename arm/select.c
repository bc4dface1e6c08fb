/* 64-bit ARM: NEON is part of the architecture, so nothing is detected. */
#include "kernels.h"

extern const goss_kernels goss_kernels_neon, goss_kernels_generic;

const goss_kernels *const *goss_kernels_available(void)
{
    static const goss_kernels *const available[] = {&goss_kernels_neon, &goss_kernels_generic, NULL};
    return available;
}
