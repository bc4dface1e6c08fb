/* WebAssembly: the choice was made by which module was fetched, so there is one table. */
#include "kernels.h"

extern const goss_kernels GOSS_WASM_KERNELS;

const goss_kernels *const *goss_kernels_available(void)
{
    static const goss_kernels *const available[] = {&GOSS_WASM_KERNELS, NULL};
    return available;
}
