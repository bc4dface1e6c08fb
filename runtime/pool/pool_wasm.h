/* What JavaScript calls to lend workers to a module with shared memory; see pool_wasm.c. */
#ifndef GOSS_POOL_WASM_H
#define GOSS_POOL_WASM_H

#include <stdint.h>

#include "gossamer.h"

/* So many workers are about to join, as threads 1 .. workers; called before a session is created. */
GOSS_API void goss_pool_admit(uint32_t workers);

/* What a worker does for the rest of its life; it never returns. */
GOSS_API void goss_pool_join(uint32_t thread);

#endif
