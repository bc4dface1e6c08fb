/* The vector layer for WebAssembly's relaxed SIMD: fused multiply-add, and min and max of one instruction. */
#ifndef GOSS_VECTOR_RELAXED_H
#define GOSS_VECTOR_RELAXED_H

#define GOSS_ISA wasm_relaxed
#define GOSS_RELAXED_SIMD
#include "vector_simd128.h"

static inline vf32 vf32_madd(vf32 acc, vf32 a, vf32 b) { return wasm_f32x4_relaxed_madd(a, b, acc); }
static inline vf32 vf32_min(vf32 a, vf32 b) { return wasm_f32x4_relaxed_min(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return wasm_f32x4_relaxed_max(a, b); }

#endif
