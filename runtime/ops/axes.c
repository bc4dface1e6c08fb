#include "axes.h"

#include <string.h>

#include "pool.h"
#include "runs.h"

static void plain_strides(uint32_t rank, const uint32_t *dims, size_t *strides)
{
    size_t stride = 1;
    for (uint32_t axis = rank; axis-- > 0; stride *= dims[axis]) strides[axis] = stride;
}

void goss_value_strides(const goss_value *value, size_t strides[GOSS_MAX_RANK])
{
    plain_strides(value->rank, value->dims, strides);
    if (value->rank != 4) return;
    strides[1] = value->stride;
    strides[0] = value->stride * value->channels;
}

goss_status goss_layer_operand(const goss_layer *layer, uint32_t position, goss_operand *operand, goss_error *error)
{
    const goss_weights *weights = layer->weights[position];
    if (!weights) {
        const goss_status status = goss_layer_need_value(layer, position, error);
        if (status) return status;
        operand->rank = layer->inputs[position]->rank;
        operand->dims = layer->inputs[position]->dims;
        goss_value_strides(layer->inputs[position], operand->strides);
        return GOSS_OK;
    }
    if (weights->i8 || weights->sparse || weights->block_rows != 1)
        return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "constant %u: f32, dense, in blocks of 1, expected",
                               position);
    operand->rank = layer->weight_ranks[position];
    operand->dims = layer->weight_dims[position];
    plain_strides(operand->rank, operand->dims, operand->strides);
    return GOSS_OK;
}

const float *goss_layer_operand_data(const goss_layer *layer, uint32_t position)
{
    return layer->inputs[position] ? layer->inputs[position]->data : layer->weights[position]->values;
}

/* The shape of all inputs together, in the axes' dims; and the inputs' strides. */
static goss_status join_shapes(const goss_layer *layer, uint32_t count, goss_axes *axes, goss_error *error)
{
    goss_operand operands[GOSS_AXES_OPERANDS - 1];
    axes->rank = 0;
    for (uint32_t i = 0; i < count; i++) {
        const goss_status status = goss_layer_operand(layer, i, &operands[i], error);
        if (status) return status;
        if (operands[i].rank > axes->rank) axes->rank = operands[i].rank;
    }
    for (uint32_t axis = 0; axis < axes->rank; axis++) {
        axes->dims[axis] = 1;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t missing = axes->rank - operands[i].rank;
            const size_t size = axis < missing ? 1 : operands[i].dims[axis - missing];
            axes->strides[1 + i][axis] = size == 1 ? 0 : operands[i].strides[axis - missing];
            if (size == 1) continue;
            if (axes->dims[axis] != 1 && axes->dims[axis] != size)
                return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "axis %u has %zu and %zu elements", axis,
                                       axes->dims[axis], size);
            axes->dims[axis] = size;
        }
    }
    return GOSS_OK;
}

/* Lets the axes of an image's pixels be one that goes through the padding as well, where all operands have that. */
static void include_padding(const goss_layer *layer, uint32_t count, goss_axes *axes)
{
    const goss_value *y = layer->output;
    if (y->rank != 4) return;
    size_t steps[GOSS_AXES_OPERANDS] = {1};
    for (uint32_t i = 0; i < count; i++) {
        const size_t *strides = axes->strides[1 + i];
        const goss_value *x = layer->inputs[i];
        const bool alike = x && x->rank == 4 && x->dims[2] == y->dims[2] && x->dims[3] == y->dims[3];
        if (!alike && (strides[2] || strides[3])) return;
        steps[1 + i] = alike;
    }
    axes->dims[2] = 1;
    axes->dims[3] = y->stride;
    for (uint32_t i = 0; i <= count; i++) axes->strides[i][3] = steps[i];
}

goss_status goss_axes_broadcast(goss_layer *layer, uint32_t count, goss_axes *axes, goss_error *error)
{
    uint32_t dims[GOSS_MAX_RANK] = {0};
    axes->operands = 1 + count;
    goss_status status = join_shapes(layer, count, axes, error);
    if (status) return status;
    for (uint32_t axis = 0; axis < axes->rank; axis++) dims[axis] = (uint32_t)axes->dims[axis];
    status = goss_value_set_shape(layer->output, axes->rank, dims, layer->kernels->lanes, error);
    if (status) return status;
    goss_value_strides(layer->output, axes->strides[0]);
    include_padding(layer, count, axes);
    goss_axes_merge(axes);
    return GOSS_OK;
}

static bool joins(const goss_axes *axes, uint32_t before, uint32_t axis)
{
    for (uint32_t i = 0; i < axes->operands; i++)
        if (axes->strides[i][before] != axes->strides[i][axis] * axes->dims[axis]) return false;
    return true;
}

void goss_axes_merge(goss_axes *axes)
{
    uint32_t rank = 0;
    for (uint32_t axis = 0; axis < axes->rank; axis++) {
        if (axes->dims[axis] == 1) continue;
        const bool joined = rank > 0 && joins(axes, rank - 1, axis);
        if (!joined) rank++;
        axes->dims[rank - 1] = joined ? axes->dims[rank - 1] * axes->dims[axis] : axes->dims[axis];
        for (uint32_t i = 0; i < axes->operands; i++) axes->strides[i][rank - 1] = axes->strides[i][axis];
    }
    bool simple = rank > 0;
    for (uint32_t i = 0; i < axes->operands && simple; i++) simple = axes->strides[i][rank - 1] <= 1;
    if (!simple) {
        axes->dims[rank] = 1;
        for (uint32_t i = 0; i < axes->operands; i++) axes->strides[i][rank] = 0;
        rank++;
    }
    axes->rank = rank;
}

bool goss_axes_in_place(const goss_layer *layer, uint32_t count)
{
    const goss_value *y = layer->output;
    for (uint32_t i = 0; i < count; i++) {
        const goss_value *x = layer->inputs[i];
        const bool alike = x && x->rank == y->rank && memcmp(x->dims, y->dims, sizeof x->dims) == 0;
        if (x && !alike && x->floats >= y->floats) return false;
    }
    return true;
}

size_t goss_axes_rows(const goss_axes *axes)
{
    size_t rows = 1;
    for (uint32_t axis = 0; axis + 1 < axes->rank; axis++) rows *= axes->dims[axis];
    return rows;
}

void goss_axes_offsets(const goss_axes *axes, size_t row, size_t offsets[GOSS_AXES_OPERANDS])
{
    for (uint32_t i = 0; i < axes->operands; i++) offsets[i] = 0;
    for (uint32_t axis = axes->rank - 1; axis-- > 0; row /= axes->dims[axis])
        for (uint32_t i = 0; i < axes->operands; i++) offsets[i] += row % axes->dims[axis] * axes->strides[i][axis];
}

typedef struct axes_run {
    const goss_layer *layer;
    const goss_axes *axes;
    goss_row *row;
    size_t rows, rows_each; /* of a task */
    size_t pieces, piece;   /* of a row */
} axes_run;

/* A piece of one row, or some rows. */
static void run_task(const void *context, size_t index, size_t thread)
{
    const axes_run *run = context;
    const goss_axes *axes = run->axes;
    const size_t count = axes->dims[axes->rank - 1], first = index % run->pieces * run->piece;
    const size_t begin = index / run->pieces * run->rows_each, left = run->rows - begin;
    const size_t end = begin + (left < run->rows_each ? left : run->rows_each);
    size_t offsets[GOSS_AXES_OPERANDS];
    (void)thread;
    for (size_t row = begin; row < end; row++) {
        goss_axes_offsets(axes, row, offsets);
        for (uint32_t i = 0; i < axes->operands; i++) offsets[i] += first * axes->strides[i][axes->rank - 1];
        run->row(run->layer, offsets, count - first < run->piece ? count - first : run->piece);
    }
}

void goss_axes_run(const goss_layer *layer, const goss_axes *axes, size_t floats, goss_row *row)
{
    const size_t count = axes->dims[axes->rank - 1];
    axes_run run = {.layer = layer, .axes = axes, .row = row, .rows = goss_axes_rows(axes), .piece = count};
    if (floats == count && count > GOSS_RUN_FLOATS) run.piece = GOSS_RUN_FLOATS;
    run.pieces = (count + run.piece - 1) / run.piece;
    run.rows_each = run.pieces > 1 || floats >= GOSS_RUN_FLOATS ? 1 : GOSS_RUN_FLOATS / floats;
    goss_pool_run(layer->pool, (run.rows + run.rows_each - 1) / run.rows_each * run.pieces, run_task, &run);
}
