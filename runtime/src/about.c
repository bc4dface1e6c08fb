/* What this library is and what it can use here. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "gossamer.h"
#include "isa.h"
#include "kernels.h"

enum { ABI_VERSION = 3, MOST_ROUNDS = 1 << 24 };

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

goss_status goss_isa_choose(const char *isa, const goss_kernels **kernels, goss_error *error)
{
    const goss_kernels *const *available = goss_kernels_available();
    *kernels = available[0];
    if (!isa) return GOSS_OK;

    char list[128] = "";
    for (; *available; available++) {
        if (strcmp((*available)->isa, isa) == 0) {
            *kernels = *available;
            return GOSS_OK;
        }
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", (*available)->isa);
    }
    return goss_fail(error, GOSS_INVALID_ARGUMENT, "ISA '%.40s' does not exist here; this machine has: %s", isa, list);
}

goss_status goss_multiply_adds(const char *isa, uint32_t rounds, uint64_t *done, goss_error *error)
{
    if (!done) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_multiply_adds: done is NULL");
    if (rounds > MOST_ROUNDS)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_multiply_adds: %u rounds, at most %d expected", rounds,
                         MOST_ROUNDS);
    const goss_kernels *kernels = NULL;
    const goss_status status = goss_isa_choose(isa, &kernels, error);
    if (status) return status;
    float sink = 0;
    *done = kernels->multiply_adds_f32(rounds, &sink);
    return GOSS_OK;
}
