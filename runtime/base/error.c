#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

/* Drops what is no character: a "%.60s" or the end of the buffer cut it in two, or a name was no UTF-8 at all. */
static void keep_whole_characters(char *text)
{
    char *kept = text;
    while (*text) {
        const size_t bytes = goss_utf8_character(text);
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
