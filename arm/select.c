/* 64-bit ARM: NEON is part of the architecture; the kernel is asked for extensions. */
#include "kernels.h"

#ifdef __linux__
#include <sys/auxv.h>
#endif

extern const goss_kernels goss_kernels_neon_dotprod, goss_kernels_neon, goss_kernels_generic;

static int has_dotprod(void)
{
#ifdef __linux__
    enum { ASIMDDP = 1 << 20 }; /* of HWCAP: <asm/hwcap.h> of older systems lacks it */
    return (getauxval(AT_HWCAP) & ASIMDDP) != 0;
#else
    return 0;
#endif
}

const goss_kernels *const *goss_kernels_available(void)
{
    static const goss_kernels *const all[] = {&goss_kernels_neon_dotprod, &goss_kernels_neon, &goss_kernels_generic,
                                              NULL};
    return has_dotprod() ? all : all + 1;
}
