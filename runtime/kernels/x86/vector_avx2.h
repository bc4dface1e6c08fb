/* The vector layer for x86-64 with AVX2 and FMA. */
#ifndef GOSS_VECTOR_AVX2_H
#define GOSS_VECTOR_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#define GOSS_ISA avx2

enum { VF32_LANES = 8, VF32_REGISTERS = 16 };
typedef __m256 vf32;

static inline vf32 vf32_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf32_store(float *p, vf32 v) { _mm256_storeu_ps(p, v); }
static inline vf32 vf32_splat(float s) { return _mm256_set1_ps(s); }
static inline vf32 vf32_add(vf32 a, vf32 b) { return _mm256_add_ps(a, b); }
static inline vf32 vf32_sub(vf32 a, vf32 b) { return _mm256_sub_ps(a, b); }
static inline vf32 vf32_mul(vf32 a, vf32 b) { return _mm256_mul_ps(a, b); }
static inline vf32 vf32_madd(vf32 acc, vf32 a, vf32 b) { return _mm256_fmadd_ps(a, b, acc); }
static inline vf32 vf32_min(vf32 a, vf32 b) { return _mm256_min_ps(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return _mm256_max_ps(a, b); }
static inline vf32 vf32_div(vf32 a, vf32 b) { return _mm256_div_ps(a, b); }
static inline vf32 vf32_and(vf32 a, vf32 b) { return _mm256_and_ps(a, b); }
static inline vf32 vf32_first(vf32 v, size_t n, vf32 fill)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
    return _mm256_blendv_ps(fill, v, _mm256_castsi256_ps(mask));
}
static inline vf32 vf32_even(vf32 a, vf32 b)
{
    const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(pairs, _MM_SHUFFLE(3, 1, 2, 0)));
}
static inline vf32 vf32_odd(vf32 a, vf32 b)
{
    const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(pairs, _MM_SHUFFLE(3, 1, 2, 0)));
}
static inline vf32 vf32_scale2(vf32 v, vf32 n)
{
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), exponent));
}
static inline float vf32_sum(vf32 v)
{
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
}
static inline float vf32_largest(vf32 v)
{
    __m128 largest = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
    return _mm_cvtss_f32(_mm_max_ss(largest, _mm_shuffle_ps(largest, largest, 1)));
}

typedef __m256i vi32;

static inline vi32 vi32_load(const void *p) { return _mm256_loadu_si256(p); }
static inline void vi32_store(void *p, vi32 v) { _mm256_storeu_si256(p, v); }
static inline vi32 vi32_splat(int32_t s) { return _mm256_set1_epi32(s); }
static inline vi32 vi32_repeat(const void *p) { return _mm256_broadcastsi128_si256(_mm_loadu_si128(p)); }
static inline vi32 vi32_add(vi32 a, vi32 b) { return _mm256_add_epi32(a, b); }
static inline vi32 vi32_sub(vi32 a, vi32 b) { return _mm256_sub_epi32(a, b); }
static inline vf32 vi32_to_f32(vi32 v) { return _mm256_cvtepi32_ps(v); }
static inline vi32 vi32_round(vf32 v) { return _mm256_cvtps_epi32(v); }
static inline vi32 vi32_narrow(vi32 a, vi32 b, vi32 c, vi32 d)
{
    return _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
}
static inline vi32 vi32_widen(vi32 v, int k)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i half = k < 2 ? _mm256_unpacklo_epi8(v, zero) : _mm256_unpackhi_epi8(v, zero);
    return k % 2 ? _mm256_unpackhi_epi16(half, zero) : _mm256_unpacklo_epi16(half, zero);
}
static inline vi32 vi8_add(vi32 a, vi32 b) { return _mm256_add_epi8(a, b); }
static inline vi32 vi8_max(vi32 a, vi32 b) { return _mm256_max_epu8(a, b); }
static inline vi32 vi8_transpose(vi32 v)
{
    const __m128i place = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(place));
}
static inline void vi8_interleave(vi32 v[4])
{
    const __m256i a = _mm256_unpacklo_epi8(v[0], v[1]), b = _mm256_unpackhi_epi8(v[0], v[1]);
    const __m256i c = _mm256_unpacklo_epi8(v[2], v[3]), d = _mm256_unpackhi_epi8(v[2], v[3]);
    v[0] = _mm256_unpacklo_epi16(a, c);
    v[1] = _mm256_unpackhi_epi16(a, c);
    v[2] = _mm256_unpacklo_epi16(b, d);
    v[3] = _mm256_unpackhi_epi16(b, d);
}
static inline __m128i vi8_quad_(const uint8_t *p)
{
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return _mm_set1_epi32(quad);
}
static inline vi32 vi8_spread(const uint8_t *const *p) { return _mm256_setr_m128i(vi8_quad_(p[0]), vi8_quad_(p[1])); }
static inline vi32 vi8_pick(const uint8_t *table, vi32 v)
{
    const __m256i index = _mm256_adds_epu8(v, _mm256_set1_epi8(0x70)); /* of 16 and more the sign is set: 0 */
    return _mm256_shuffle_epi8(vi32_repeat(table), index);
}

enum { GOSS_DOT_REGISTERS = 1 };
typedef vi32 vdot, vdot_x, vdot_w;
static inline vdot vdot_from(int32_t s) { return vi32_splat(s); }
static inline vdot_x vdot_bytes(vi32 v) { return v; }
static inline vdot_w vdot_weights(vi32 v) { return v; }
static inline vdot_w vdot_splat(const int8_t *p)
{
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return _mm256_set1_epi32(quad);
}
static inline vdot vdot_add(vdot acc, vdot_x x, vdot_w w)
{
    const __m256i pairs = _mm256_maddubs_epi16(x, w); /* 2 * 127 * 127 is the most */
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static inline vi32 vdot_sum(vdot acc) { return acc; }

#endif
