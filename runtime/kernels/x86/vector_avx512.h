/* The vector layer for x86-64 with AVX-512 (F, VL, DQ, BW: Skylake-SP, Zen 4 and later). */
#ifndef GOSS_VECTOR_AVX512_H
#define GOSS_VECTOR_AVX512_H

#include <immintrin.h>
#include <stddef.h>

#define GOSS_ISA avx512

enum { VF32_LANES = 16, VF32_REGISTERS = 32 };
typedef __m512 vf32;

static inline vf32 vf32_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf32_store(float *p, vf32 v) { _mm512_storeu_ps(p, v); }
static inline vf32 vf32_splat(float s) { return _mm512_set1_ps(s); }
static inline vf32 vf32_add(vf32 a, vf32 b) { return _mm512_add_ps(a, b); }
static inline vf32 vf32_sub(vf32 a, vf32 b) { return _mm512_sub_ps(a, b); }
static inline vf32 vf32_mul(vf32 a, vf32 b) { return _mm512_mul_ps(a, b); }
static inline vf32 vf32_madd(vf32 acc, vf32 a, vf32 b) { return _mm512_fmadd_ps(a, b, acc); }
static inline vf32 vf32_min(vf32 a, vf32 b) { return _mm512_min_ps(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return _mm512_max_ps(a, b); }
static inline vf32 vf32_div(vf32 a, vf32 b) { return _mm512_div_ps(a, b); }
static inline vf32 vf32_and(vf32 a, vf32 b) { return _mm512_and_ps(a, b); }
static inline vf32 vf32_first(vf32 v, size_t n, vf32 fill)
{
    return _mm512_mask_mov_ps(fill, (__mmask16)((1u << n) - 1), v);
}
static inline vf32 vf32_even(vf32 a, vf32 b)
{
    const __m512i lane = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, lane, b);
}
static inline vf32 vf32_odd(vf32 a, vf32 b)
{
    const __m512i lane = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, lane, b);
}
static inline vf32 vf32_scale2(vf32 v, vf32 n)
{
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(n), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(v), exponent));
}
static inline float vf32_sum(vf32 v)
{
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
}
static inline float vf32_largest(vf32 v)
{
    const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 largest = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
    return _mm_cvtss_f32(_mm_max_ss(largest, _mm_shuffle_ps(largest, largest, 1)));
}

#endif
