/* The vector layer for x86-64 with AVX-512 and its dot products of bytes (VNNI: Cascade Lake, Zen 4 and later). */
#ifndef GOSS_VECTOR_AVX512_VNNI_H
#define GOSS_VECTOR_AVX512_VNNI_H

#define GOSS_ISA avx512_vnni
#include "vector_avx512.h"

#endif
