/* What this library is and what it can use here. */
#include "gossamer.h"
#include "kernels.h"

enum { ABI_VERSION = 1 };

uint32_t goss_abi_version(void) { return ABI_VERSION; }

const char *goss_version(void) { return GOSSAMER_VERSION; }

uint32_t goss_isa_count(void)
{
    uint32_t count = 0;
    while (goss_kernels_available()[count]) count++;
    return count;
}

const char *goss_isa_name(uint32_t index)
{
    return index < goss_isa_count() ? goss_kernels_available()[index]->isa : NULL;
}
