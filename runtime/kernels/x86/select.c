/* x86-64: SSE2 is part of the architecture; AVX2 is asked for, and for the operating system that must save it. */
#include "kernels.h"

extern const goss_kernels goss_kernels_avx2, goss_kernels_generic;

const goss_kernels *const *goss_kernels_available(void)
{
    static const goss_kernels *const all[] = {&goss_kernels_avx2, &goss_kernels_generic, NULL};
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? all : all + 1;
}
