#include "plan.h"

#include "arena.h"
#include "error.h"
#include "memory.h"

/* ---- Shapes and kernels ------------------------------------------------------------------------------- */

static goss_status plan_inputs(goss_plan *plan, goss_error *error)
{
    for (uint32_t i = 0; i < plan->model->tensor_count; i++) {
        const goss_tensor *tensor = &plan->model->tensors[i];
        plan->values[i].name = tensor->name;
        plan->values[i].dtype = tensor->dtype;
        plan->values[i].scale = tensor->scale;
        plan->values[i].zero_point = (int32_t)tensor->zero_point;
        plan->values[i].element_bytes = tensor->dtype == GOSS_DTYPE_F32 ? sizeof(float) : 1;
        if (tensor->role != GOSS_ROLE_INPUT) continue;
        const goss_status status =
            goss_value_set_shape(&plan->values[i], tensor->rank, tensor->dims, plan->kernels->lanes, error);
        if (status) return status;
    }
    return GOSS_OK;
}

static goss_status plan_layer(goss_plan *plan, const goss_node *node, goss_layer *layer, goss_error *error)
{
    layer->op = node->op;
    layer->name = node->name;
    layer->attributes = node->attributes;
    layer->attribute_count = node->attribute_count;
    layer->kernels = plan->kernels;
    layer->pool = plan->pool;
    layer->threads = goss_pool_threads(plan->pool);
    layer->output = &plan->values[node->output];
    for (uint32_t i = 0; i < node->input_count; i++) {
        const goss_tensor *tensor = &plan->model->tensors[node->inputs[i]];
        if (tensor->role != GOSS_ROLE_WEIGHTS) {
            layer->inputs[i] = &plan->values[node->inputs[i]];
            if (layer->inputs[i]->rows_vary)
                return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "reads '%.60s', whose rows only a run tells",
                                       layer->inputs[i]->name);
        } else {
            layer->weights[i] = &tensor->weights;
            layer->weight_dims[i] = tensor->dims;
            layer->weight_ranks[i] = tensor->rank;
        }
    }
    if (layer->output->dtype == GOSS_DTYPE_U7 && !node->op->quantized)
        return goss_layer_fail(layer, error, GOSS_UNSUPPORTED, "the output '%.60s' is u7, f32 expected",
                               layer->output->name);
    return node->op->plan(layer, error);
}

/* ---- Memory --------------------------------------------------------------------------------------------- */

enum { NO_MEMORY = -1 };

/* Lifetimes: one for each value that has memory of its own, then one for each layer's scratch. */
typedef struct memory_plan {
    goss_lifetime *items;
    uint32_t count;
    int32_t *item_of_value; /* [tensor_count]; in-place outputs share their input's */
    int32_t *item_of_layer; /* [node_count]; its scratch */
    uint32_t *last_use;     /* [tensor_count] layer */
} memory_plan;

static int32_t add_item(memory_plan *memory, size_t bytes, uint32_t first, uint32_t last)
{
    memory->items[memory->count] = (goss_lifetime){.bytes = bytes, .first = first, .last = last};
    return (int32_t)memory->count++;
}

static void find_last_uses(const goss_plan *plan, memory_plan *memory)
{
    const goss_model *model = plan->model;
    for (uint32_t layer = 0; layer < model->node_count; layer++) {
        const goss_node *node = &model->nodes[layer];
        memory->last_use[node->output] = layer;
        for (uint32_t i = 0; i < node->input_count; i++) memory->last_use[node->inputs[i]] = layer;
    }
    for (uint32_t i = 0; i < model->tensor_count; i++)
        if (model->tensors[i].role == GOSS_ROLE_OUTPUT) memory->last_use[i] = model->node_count - 1;
}

/* The item of an input whose memory the output of this layer may take, or NO_MEMORY. */
static int32_t reusable_item(const goss_plan *plan, const memory_plan *memory, uint32_t layer)
{
    const goss_node *node = &plan->model->nodes[layer];
    if (!plan->layers[layer].in_place) return NO_MEMORY;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const uint32_t input = node->inputs[i];
        if (plan->model->tensors[input].role != GOSS_ROLE_OUTPUT && memory->last_use[input] == layer &&
            plan->values[input].floats >= plan->values[node->output].floats)
            return memory->item_of_value[input];
    }
    return NO_MEMORY;
}

static void collect_items(const goss_plan *plan, memory_plan *memory)
{
    const goss_model *model = plan->model;
    for (uint32_t i = 0; i < model->tensor_count; i++)
        if (model->tensors[i].role == GOSS_ROLE_INPUT)
            memory->item_of_value[i] = add_item(memory, plan->values[i].floats * sizeof(float), 0, memory->last_use[i]);

    for (uint32_t layer = 0; layer < model->node_count; layer++) {
        const uint32_t output = model->nodes[layer].output, last = memory->last_use[output];
        int32_t item = reusable_item(plan, memory, layer);
        if (item != NO_MEMORY)
            memory->items[item].last = last;
        else
            item = add_item(memory, plan->values[output].floats * sizeof(float), layer, last);
        memory->item_of_value[output] = item;
        memory->item_of_layer[layer] = plan->layers[layer].scratch_bytes
                                           ? add_item(memory, plan->layers[layer].scratch_bytes, layer, layer)
                                           : NO_MEMORY;
    }
}

static goss_status allocate_arena(goss_plan *plan, memory_plan *memory, goss_error *error)
{
    const goss_model *model = plan->model;
    find_last_uses(plan, memory);
    collect_items(plan, memory);

    goss_arena_plan arena;
    const goss_status status = goss_arena_place(memory->items, memory->count, model->node_count, &arena, error);
    if (status) return status;
    plan->arena = goss_alloc_zeroed(GOSS_READABLE_BEFORE + arena.bytes + GOSS_READABLE_BEHIND);
    if (!plan->arena) return goss_fail_out_of_memory(error, arena.bytes, "the arena of intermediate tensors");
    plan->arena_bytes = arena.bytes;
    plan->tensor_bytes = arena.total_bytes;
    plan->lowest_bytes = arena.lowest_bytes;
    unsigned char *const first = plan->arena + GOSS_READABLE_BEFORE;

    for (uint32_t i = 0; i < model->tensor_count; i++)
        if (model->tensors[i].role != GOSS_ROLE_WEIGHTS)
            plan->values[i].data = (float *)(void *)(first + memory->items[memory->item_of_value[i]].offset);
    for (uint32_t i = 0; i < model->node_count; i++)
        if (memory->item_of_layer[i] != NO_MEMORY)
            plan->layers[i].scratch = first + memory->items[memory->item_of_layer[i]].offset;
    return GOSS_OK;
}

static goss_status plan_memory(goss_plan *plan, goss_error *error)
{
    const size_t tensors = plan->model->tensor_count, nodes = plan->model->node_count;
    memory_plan memory = {
        .items = goss_alloc_zeroed((tensors + nodes) * sizeof *memory.items),
        .item_of_value = goss_alloc_zeroed(tensors * sizeof *memory.item_of_value),
        .item_of_layer = goss_alloc_zeroed(nodes * sizeof *memory.item_of_layer),
        .last_use = goss_alloc_zeroed(tensors * sizeof *memory.last_use),
    };
    const goss_status status =
        memory.items && memory.item_of_value && memory.item_of_layer && memory.last_use
            ? allocate_arena(plan, &memory, error)
            : goss_fail_out_of_memory(error, (tensors + nodes) * sizeof *memory.items, "planning the arena");
    goss_free(memory.items);
    goss_free(memory.item_of_value);
    goss_free(memory.item_of_layer);
    goss_free(memory.last_use);
    return status;
}

/* ---- The whole ------------------------------------------------------------------------------------------ */

goss_status goss_plan_build(goss_plan *plan, goss_error *error)
{
    const goss_model *model = plan->model;
    plan->values = goss_alloc_zeroed(model->tensor_count * sizeof *plan->values);
    plan->layers = goss_alloc_zeroed(model->node_count * sizeof *plan->layers);
    if (!plan->values || !plan->layers)
        return goss_fail_out_of_memory(error, model->node_count * sizeof *plan->layers, "the plan");

    goss_status status = plan_inputs(plan, error);
    for (uint32_t i = 0; i < model->node_count && !status; i++)
        status = plan_layer(plan, &model->nodes[i], &plan->layers[i], error);
    return status ? status : plan_memory(plan, error);
}

void goss_plan_release(goss_plan *plan)
{
    for (uint32_t i = 0; plan->layers && i < plan->model->node_count; i++) goss_free(plan->layers[i].state);
    goss_free(plan->values);
    goss_free(plan->layers);
    goss_free(plan->arena);
}
