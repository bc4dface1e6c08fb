#ifndef GOSS_UTF8_H
#define GOSS_UTF8_H

#include <stddef.h>

/* Bytes of the UTF-8 character that a NUL-terminated text begins with (1 for the NUL itself); 0 when it is none. */
size_t goss_utf8_character(const char *text);

#endif
