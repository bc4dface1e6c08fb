/* The vector layer for NEON with dot products of bytes (armv8.2-a: Cortex-A75 and A76 and later). */
#ifndef GOSS_VECTOR_NEON_DOTPROD_H
#define GOSS_VECTOR_NEON_DOTPROD_H

#define GOSS_ISA neon_dotprod
#define GOSS_NEON_DOTPROD
#include "vector_neon.h"

#endif
