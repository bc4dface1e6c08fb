#include "utf8.h"

/* The Unicode Standard, table 3-7: the second byte's range depends on the first, so that nothing has two spellings and
 * nothing is a surrogate or beyond U+10FFFF. */
size_t goss_utf8_character(const char *text)
{
    const unsigned char lead = (unsigned char)text[0];
    if (lead < 0x80) return 1;
    const size_t bytes = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (bytes == 0) return 0;

    const unsigned char second = (unsigned char)text[1];
    const unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < lowest || second > highest) return 0;
    for (size_t i = 2; i < bytes; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80) return 0;
    return bytes;
}
