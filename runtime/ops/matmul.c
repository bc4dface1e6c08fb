/* Products of matrices that are both computed, or one of them constant, one for each batch.
 *
 * The rows of b are planes, and the rows of a take the place of weights: four at a time, packed as a block of them is
 * stored. So the kernel of pointwise convolutions does it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "axes.h"
#include "pool.h"

enum {
    BLOCK = 4,
    PANEL_FLOATS = 1 << 14, /* of packed rows, that stay near while columns go by */
    RESULT_FLOATS = 1 << 20,
    MOST_ELEMENTS = 1 << 24, /* of a row: no size below overflows 32 bits then */
    PANEL_BLOCKS = 16,       /* at most, so that there are tasks to share */
};

typedef struct matmul_state {
    size_t batches, rows, inner, columns;
    size_t a_batch, b_batch;   /* floats from one matrix to the next; 0: the same for all */
    size_t panel_rows, panels; /* of each batch */
    size_t pixels;             /* columns up to the vector */
    bool direct;               /* whole vectors: nothing would be written behind a row */
    size_t task_floats;        /* scratch: packed rows, and results that are not direct */
    float *bias;               /* [panel_rows] zeros */
    uint32_t offsets[];        /* [inner] */
} matmul_state;

/* Rows of a, block after block; rows that are missing in the last one are zero. */
static void pack_rows(const goss_layer *layer, const float *a, size_t rows, float *packed)
{
    const matmul_state *state = layer->state;
    const size_t inner = state->inner;
    for (size_t row = 0; row < rows; row += BLOCK, packed += BLOCK * inner) {
        const size_t left = rows - row < BLOCK ? rows - row : BLOCK;
        if (left < BLOCK) memset(packed, 0, BLOCK * inner * sizeof *packed);
        layer->kernels->transpose_f32(&(goss_transpose_f32_args){
            .x = a + row * inner, .y = packed, .rows = left, .columns = inner, .x_stride = inner, .y_stride = BLOCK});
    }
}

static void run_task(const void *context, size_t index, size_t thread)
{
    const goss_layer *layer = context;
    const matmul_state *state = layer->state;
    const size_t batch = index / state->panels, first = index % state->panels * state->panel_rows;
    const size_t left = state->rows - first, rows = left < state->panel_rows ? left : state->panel_rows;
    const float *a = goss_layer_operand_data(layer, 0) + batch * state->a_batch + first * state->inner;
    float *packed = (float *)(void *)layer->scratch + thread * state->task_floats;
    float *result = packed + state->panel_rows * state->inner;
    float *y = layer->output->data + (batch * state->rows + first) * state->columns;
    const size_t whole = state->direct ? rows / BLOCK : 0;
    goss_pointwise_f32_args args = {
        .x = goss_layer_operand_data(layer, 1) + batch * state->b_batch,
        .weights = packed,
        .bias = state->bias,
        .plane_offset = state->offsets,
        .columns = state->inner,
        .pixels = state->pixels,
        .y_stride = state->pixels,
        .min = -INFINITY,
        .max = INFINITY,
    };
    pack_rows(layer, a, rows, packed);
    if (whole) {
        args.y = y;
        args.block_rows = whole;
        layer->kernels->pointwise_f32[2](&args);
    }
    if (whole * BLOCK == rows) return;
    args.weights += whole * BLOCK * state->inner;
    args.y = result;
    args.block_rows = (rows + BLOCK - 1) / BLOCK - whole;
    layer->kernels->pointwise_f32[2](&args);
    for (size_t row = whole * BLOCK; row < rows; row++)
        memcpy(y + row * state->columns, result + (row - whole * BLOCK) * state->pixels, state->columns * sizeof *y);
}

static void run(const goss_layer *layer)
{
    const matmul_state *state = layer->state;
    goss_pool_run(layer->pool, state->batches * state->panels, run_task, layer);
}

static goss_status check_shapes(const goss_layer *layer, goss_operand *a, goss_operand *b, goss_error *error)
{
    goss_status status = goss_layer_operand(layer, 0, a, error);
    if (!status) status = goss_layer_operand(layer, 1, b, error);
    if (status) return status;
    const bool batches =
        a->rank == 3 && b->rank == 3 && (a->dims[0] == b->dims[0] || a->dims[0] == 1 || b->dims[0] == 1);
    const uint64_t elements = batches ? (uint64_t)b->dims[1] * b->dims[2] : 0;
    if (batches && (a->dims[2] > MOST_ELEMENTS || b->dims[2] > MOST_ELEMENTS || elements > 1u << 30))
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED,
                               "%ux%u elements; at most 2^24 in a row, 2^30 in all, expected", b->dims[1], b->dims[2]);
    if (batches && a->dims[2] == b->dims[1]) return GOSS_OK;
    return goss_layer_fail(layer, error, GOSS_MODEL_CORRUPT, "ranks %u and %u, sizes %ux%ux%u and %ux%ux%u do not fit",
                           a->rank, b->rank, a->dims[0], a->dims[1], a->dims[2], b->dims[0], b->dims[1], b->dims[2]);
}

static goss_status plan(goss_layer *layer, goss_error *error)
{
    goss_operand a, b;
    goss_status status = check_shapes(layer, &a, &b, error);
    if (status) return status;
    const uint32_t dims[3] = {a.dims[0] > b.dims[0] ? a.dims[0] : b.dims[0], a.dims[1], b.dims[2]};
    const size_t lanes = layer->kernels->lanes, rows = dims[1], inner = a.dims[2], columns = dims[2];
    status = goss_value_set_shape(layer->output, 3, dims, lanes, error);
    if (status) return status;

    size_t panel_rows = PANEL_FLOATS / inner / BLOCK * BLOCK;
    if (panel_rows > PANEL_BLOCKS * BLOCK) panel_rows = PANEL_BLOCKS * BLOCK;
    if (panel_rows > (rows + BLOCK - 1) / BLOCK * BLOCK) panel_rows = (rows + BLOCK - 1) / BLOCK * BLOCK;
    if (panel_rows * columns > RESULT_FLOATS) panel_rows = RESULT_FLOATS / columns / BLOCK * BLOCK;
    if (panel_rows < BLOCK) panel_rows = BLOCK;
    const size_t pixels = (columns + lanes - 1) / lanes * lanes;
    const size_t offset_floats = (inner + 15) / 16 * 16;
    status =
        goss_layer_allocate_state(layer, sizeof(matmul_state) + (offset_floats + panel_rows) * sizeof(float), error);
    if (status) return status;
    matmul_state *state = layer->state;
    *state = (matmul_state){
        .batches = dims[0],
        .rows = rows,
        .inner = inner,
        .columns = columns,
        .a_batch = a.dims[0] == 1 ? 0 : rows * inner,
        .b_batch = b.dims[0] == 1 ? 0 : inner * columns,
        .panel_rows = panel_rows,
        .panels = (rows + panel_rows - 1) / panel_rows,
        .pixels = pixels,
        .direct = pixels == columns,
        .task_floats = panel_rows * inner + (pixels == columns ? BLOCK : panel_rows) * pixels,
        .bias = (float *)(void *)(state->offsets + offset_floats),
    };
    for (size_t i = 0; i < inner; i++) state->offsets[i] = (uint32_t)(i * columns * sizeof(float));
    memset(state->bias, 0, panel_rows * sizeof(float));
    state->task_floats = (state->task_floats + lanes - 1) / lanes * lanes;
    layer->macs = layer->dense_macs = (uint64_t)dims[0] * rows * inner * columns;
    layer->run = run;
    snprintf(layer->kernel_name, sizeof layer->kernel_name, "pointwise_f32_4x1 of packed rows");
    return goss_layer_need_scratch(layer, state->task_floats, error);
}

const goss_op goss_op_matmul = {.name = "matmul", .code = 23, .inputs = 2, .attributes = 0, .plan = plan};
