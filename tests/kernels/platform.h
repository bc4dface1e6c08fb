/* What the kernel tests need from the machine they run on: platform_posix.c or platform_wasm.c. */
#ifndef GOSS_TEST_PLATFORM_H
#define GOSS_TEST_PLATFORM_H

#include <stddef.h>

/* Memory whose start and end are multiples of 64. */
typedef struct region {
    unsigned char *start;
    size_t bytes;
} region;

/* At least `bytes`, and where the platform can, nothing accessible behind its end. Ends the program when memory is out.
 */
region region_new(size_t bytes);
void region_free(region memory);

/* "" or what this platform cannot check, as a sentence. */
const char *platform_limits(void);

/* From now on a crash prints `subject`, which may change meanwhile, before the program ends. */
void print_on_crash(const char *subject);

#endif
