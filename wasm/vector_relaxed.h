/* The vector layer for WebAssembly's relaxed SIMD: fused multiply-add, min and max of one instruction, and products of
 * bytes. All of them are relaxed in what kernels do not rely on. */
#ifndef GOSS_VECTOR_RELAXED_H
#define GOSS_VECTOR_RELAXED_H

#define GOSS_ISA wasm_relaxed
#define GOSS_RELAXED_SIMD
#include "vector_simd128.h"

static inline vf32 vf32_madd(vf32 acc, vf32 a, vf32 b) { return wasm_f32x4_relaxed_madd(a, b, acc); }
static inline vf32 vf32_min(vf32 a, vf32 b) { return wasm_f32x4_relaxed_min(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return wasm_f32x4_relaxed_max(a, b); }

enum { GOSS_DOT_REGISTERS = 1 };
typedef vi32 vdot, vdot_x, vdot_w;
static inline vdot vdot_from(int32_t s) { return vi32_splat(s); }
static inline vdot_x vdot_bytes(vi32 v) { return v; }
static inline vdot_w vdot_weights(vi32 v) { return v; }
static inline vdot_w vdot_splat(const int8_t *p) { return wasm_v128_load32_splat(p); }
static inline vdot vdot_add(vdot acc, vdot_x x, vdot_w w) { return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(w, x, acc); }
static inline vi32 vdot_sum(vdot acc) { return acc; }

#endif
