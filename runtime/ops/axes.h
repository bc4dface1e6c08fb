/* Operands of an operator along common axes, whatever their layouts: how many steps an axis has, and how far apart its
 * neighbours lie in each operand. An operator that asks for rows of the last axis is written once for all of them. */
#ifndef GOSS_AXES_H
#define GOSS_AXES_H

#include "op.h"

enum { GOSS_AXES_OPERANDS = 4, GOSS_AXES_MAX = GOSS_MAX_RANK + 1 };

typedef struct goss_axes {
    uint32_t rank, operands;
    size_t dims[GOSS_AXES_MAX];
    size_t strides[GOSS_AXES_OPERANDS][GOSS_AXES_MAX]; /* floats; 0: the same number at every step */
} goss_axes;

/* What input `position` is: a value or dense weights. */
typedef struct goss_operand {
    uint32_t rank;
    const uint32_t *dims;
    size_t strides[GOSS_MAX_RANK];
} goss_operand;

goss_status goss_layer_operand(const goss_layer *layer, uint32_t position, goss_operand *operand, goss_error *error);
const float *goss_layer_operand_data(const goss_layer *layer, uint32_t position);

/* How far apart neighbours of a value lie. */
void goss_value_strides(const goss_value *value, size_t strides[GOSS_MAX_RANK]);

/* Gives the output the shape that inputs 0 .. count - 1 have together, as NumPy broadcasts. Operand 0 of the axes is
 * the output, the others are the inputs. Padding of planes may be gone through, too. */
goss_status goss_axes_broadcast(goss_layer *layer, uint32_t count, goss_axes *axes, goss_error *error);

/* Leaves out axes of one step and joins neighbours that every operand goes through as one. The last axis that is left
 * has steps of 0 or 1 in the first operand; there is at least one. */
void goss_axes_merge(goss_axes *axes);

/* Whether the output may lie where an input lay: that of the same place is the only one that is read for a place. */
bool goss_axes_in_place(const goss_layer *layer, uint32_t count);

/* Some of the last axis: `offsets` says where it begins in each operand. */
typedef void goss_row(const goss_layer *layer, const size_t offsets[GOSS_AXES_OPERANDS], size_t count);

/* Calls `row` for every row of the last axis, or pieces of it, in any order and on any thread. A row is worth `floats`
 * numbers of work. */
void goss_axes_run(const goss_layer *layer, const goss_axes *axes, size_t floats, goss_row *row);

/* How many rows of the last axis there are, and where one of them begins. */
size_t goss_axes_rows(const goss_axes *axes);
void goss_axes_offsets(const goss_axes *axes, size_t row, size_t offsets[GOSS_AXES_OPERANDS]);

#endif
