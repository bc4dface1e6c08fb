#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 character that text begins with; 0 when it is none, because a "%.60s" or the end of the buffer
 * cut it, or because a name was no UTF-8 at all. */
static size_t character_bytes(const char *text)
{
    const unsigned char lead = (unsigned char)*text;
    const size_t bytes = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < bytes; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80) return 0;
    return bytes;
}

static void keep_whole_characters(char *text)
{
    char *kept = text;
    while (*text) {
        const size_t bytes = character_bytes(text);
        memmove(kept, text, bytes);
        kept += bytes;
        text += bytes ? bytes : 1;
    }
    *kept = 0;
}

goss_status goss_fail(goss_error *error, goss_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->status = (int32_t)status;
        vsnprintf(error->message, sizeof error->message, format, arguments);
        keep_whole_characters(error->message);
        va_end(arguments);
    }
    return status;
}

goss_status goss_fail_out_of_memory(goss_error *error, size_t bytes, const char *what)
{
    return goss_fail(error, GOSS_OUT_OF_MEMORY, "no memory for %s: %zu bytes could not be allocated", what, bytes);
}
