/* The smallest useful .goss file: y = ReLU(W x + b), as runtime/FORMAT.md has it.
 *
 * input "input" f32 [1,3], output "output" f32 [1,2], layer "dense", metadata labels = "cat\ndog". */
#ifndef GOSS_TEST_TINY_MODEL_H
#define GOSS_TEST_TINY_MODEL_H

#include <stddef.h>

enum { TINY_INPUTS = 3, TINY_OUTPUTS = 2, TINY_MODEL_BYTES = 1024 };

extern const float tiny_x[TINY_INPUTS], tiny_y[TINY_OUTPUTS]; /* an input and its right answer */

/* The file in memory aligned to 64 bytes; free with goss_free(). */
unsigned char *tiny_model_new(void);

#endif
