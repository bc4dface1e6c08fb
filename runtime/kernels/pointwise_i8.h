/* The width of pointwise_i8.c's tiles, which planning wants to know. */
#ifndef GOSS_POINTWISE_I8_H
#define GOSS_POINTWISE_I8_H

#include "vector.h"

/* A block of one row uses a vector of pixels once: nothing but the loop's own cost is shared by more than 4. */
#define GOSS_POINTWISE_I8_VECTORS(rows) ((rows) == 4 ? GOSS_DOT_VECTORS(4) : 4)

#endif
