#include "crc32.h"

enum { SLICES = 16 };

static uint32_t read_u32(const unsigned char *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Sixteen bytes a step by sixteen tables ("slicing"), which are made anew each time: 16 KB and a few microseconds buy
 * freedom from global state. Long steps are for browsers, which run a module's code unoptimised at first. */
uint32_t goss_crc32(uint32_t crc, const unsigned char *bytes, size_t count)
{
    uint32_t table[SLICES][256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
        table[0][i] = value;
    }
    for (int t = 1; t < SLICES; t++)
        for (uint32_t i = 0; i < 256; i++) table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];

    crc = ~crc;
    for (; count >= SLICES; count -= SLICES, bytes += SLICES) {
        const uint32_t a = crc ^ read_u32(bytes), b = read_u32(bytes + 4), c = read_u32(bytes + 8),
                       d = read_u32(bytes + 12);
        crc = table[15][a & 255] ^ table[14][a >> 8 & 255] ^ table[13][a >> 16 & 255] ^ table[12][a >> 24] ^
              table[11][b & 255] ^ table[10][b >> 8 & 255] ^ table[9][b >> 16 & 255] ^ table[8][b >> 24] ^
              table[7][c & 255] ^ table[6][c >> 8 & 255] ^ table[5][c >> 16 & 255] ^ table[4][c >> 24] ^
              table[3][d & 255] ^ table[2][d >> 8 & 255] ^ table[1][d >> 16 & 255] ^ table[0][d >> 24];
    }
    for (; count > 0; count--) crc = crc >> 8 ^ table[0][(crc ^ *bytes++) & 255];
    return ~crc;
}
