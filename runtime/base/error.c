#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drops a UTF-8 character that the end of the buffer cut in two. */
static void cut_at_character(char *text)
{
    size_t end = strlen(text), start = end;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
    if (start == 0) return;
    const unsigned char lead = (unsigned char)text[start - 1];
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (end - (start - 1) < length) text[start - 1] = 0;
}

goss_status goss_fail(goss_error *error, goss_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->status = (int32_t)status;
        if (vsnprintf(error->message, sizeof error->message, format, arguments) >= (int)sizeof error->message)
            cut_at_character(error->message);
        va_end(arguments);
    }
    return status;
}

goss_status goss_fail_out_of_memory(goss_error *error, size_t bytes, const char *what)
{
    return goss_fail(error, GOSS_OUT_OF_MEMORY, "no memory for %s: %zu bytes could not be allocated", what, bytes);
}
