/* x86-64: SSE2 is part of the architecture; the others are asked for, and for the operating system that must save them.
 */
#include "kernels.h"

extern const goss_kernels goss_kernels_avx512_vnni, goss_kernels_avx512, goss_kernels_avx2, goss_kernels_generic;

const goss_kernels *const *goss_kernels_available(void)
{
    static const goss_kernels *const all[] = {&goss_kernels_avx512_vnni, &goss_kernels_avx512, &goss_kernels_avx2,
                                              &goss_kernels_generic, NULL};
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return all + 3;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512bw"))
        return all + 2;
    return __builtin_cpu_supports("avx512vnni") ? all : all + 1;
}
