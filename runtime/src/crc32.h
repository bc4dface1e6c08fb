#ifndef GOSS_CRC32_H
#define GOSS_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 as in zlib, of several pieces: start with 0 and hand the result on. */
uint32_t goss_crc32(uint32_t crc, const unsigned char *bytes, size_t count);

#endif
