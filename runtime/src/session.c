/* The public session: describe, bind, run. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "isa.h"
#include "memory.h"
#include "plan.h"

struct goss_session {
    goss_plan plan;
    goss_session_info info;
    uint32_t *inputs, *outputs; /* tensor numbers */
    const void **bound_inputs;
    void **bound_outputs;
    char notes[128];
    uint32_t next_layer; /* where goss_session_run_layers() goes on; 0: no run is under way */
};

/* ---- Creation ------------------------------------------------------------------------------------------- */

static goss_status list_tensors(goss_session *session, goss_error *error)
{
    const goss_model *model = session->plan.model;
    const size_t count = model->tensor_count;
    session->inputs = goss_alloc_zeroed(count * sizeof *session->inputs);
    session->outputs = goss_alloc_zeroed(count * sizeof *session->outputs);
    session->bound_inputs = goss_alloc_zeroed(count * sizeof *session->bound_inputs);
    session->bound_outputs = goss_alloc_zeroed(count * sizeof *session->bound_outputs);
    if (!session->inputs || !session->outputs || !session->bound_inputs || !session->bound_outputs)
        return goss_fail_out_of_memory(error, count * sizeof *session->bound_inputs, "the session's bindings");

    for (uint32_t i = 0; i < count; i++) {
        if (model->tensors[i].role == GOSS_ROLE_INPUT) session->inputs[session->info.inputs++] = i;
        if (model->tensors[i].role == GOSS_ROLE_OUTPUT) session->outputs[session->info.outputs++] = i;
    }
    return GOSS_OK;
}

static void sum_up(goss_session *session, uint32_t threads)
{
    const goss_plan *plan = &session->plan;
    goss_session_info *info = &session->info;

    for (uint32_t i = 0; i < plan->model->tensor_count; i++)
        info->weight_bytes += plan->model->tensors[i].weights.bytes;
    for (uint32_t i = 0; i < plan->model->node_count; i++) {
        info->macs += plan->layers[i].macs;
        info->dense_macs += plan->layers[i].dense_macs;
        info->weight_bytes += plan->layers[i].state_bytes;
    }
    info->arena_bytes = plan->arena_bytes;
    info->tensor_bytes = plan->tensor_bytes;
    info->largest_live_bytes = plan->lowest_bytes;
    info->layers = plan->model->node_count;
    info->isa = plan->kernels->isa;
    info->threads = (uint32_t)goss_pool_threads(plan->pool);
    info->notes = session->notes;
    if (info->threads < threads)
        snprintf(session->notes, sizeof session->notes, "%u thread%s instead of %u: %s", info->threads,
                 info->threads == 1 ? " runs" : "s run", threads,
                 info->threads == GOSS_POOL_MOST_THREADS ? "more are not supported"
                                                         : "this build or the system gives no more");
}

goss_status goss_session_create(const goss_model *model, const goss_options *options, goss_session **session,
                                goss_error *error)
{
    if (!session) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_session_create: session is NULL");
    *session = NULL;
    if (!model) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_session_create: model is NULL");

    goss_session *created = goss_alloc_zeroed(sizeof *created);
    if (!created) return goss_fail_out_of_memory(error, sizeof *created, "the session");
    created->plan.model = model;
    goss_status status = goss_isa_choose(options ? options->isa : NULL, &created->plan.kernels, error);
    const uint32_t wanted = options && options->threads ? options->threads : (uint32_t)goss_pool_default_threads();
    if (!status) created->plan.pool = goss_pool_new(wanted);
    if (!status) status = goss_plan_build(&created->plan, error);
    if (!status) status = list_tensors(created, error);
    if (status) {
        goss_session_destroy(created);
        return status;
    }
    sum_up(created, wanted);
    *session = created;
    return GOSS_OK;
}

void goss_session_destroy(goss_session *session)
{
    if (!session) return;
    goss_plan_release(&session->plan);
    goss_pool_delete(session->plan.pool);
    goss_free(session->inputs);
    goss_free(session->outputs);
    goss_free(session->bound_inputs);
    goss_free(session->bound_outputs);
    goss_free(session);
}

/* ---- Description ---------------------------------------------------------------------------------------- */

goss_status goss_session_describe(const goss_session *session, goss_session_info *info, goss_error *error)
{
    if (!session || !info) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_session_describe: a pointer is NULL");
    *info = session->info;
    return GOSS_OK;
}

static size_t plain_bytes(const goss_value *value)
{
    return value->images * value->channels * value->pixels * value->element_bytes;
}

/* Input or output `index` of the session: its value, after checking handle and index. */
static goss_status find_value(const goss_session *session, bool input, uint32_t index, const goss_value **value,
                              goss_error *error)
{
    const char *kind = input ? "input" : "output";
    if (!session) return goss_fail(error, GOSS_INVALID_ARGUMENT, "%s %u: session is NULL", kind, index);
    const uint32_t count = input ? session->info.inputs : session->info.outputs;
    if (index >= count)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "%s %u does not exist: the model has %u", kind, index, count);
    *value = &session->plan.values[(input ? session->inputs : session->outputs)[index]];
    return GOSS_OK;
}

static goss_status describe_value(const goss_session *session, bool input, uint32_t index, goss_tensor_info *info,
                                  goss_error *error)
{
    const goss_value *value = NULL;
    if (!info) return goss_fail(error, GOSS_INVALID_ARGUMENT, "%s %u: info is NULL", input ? "input" : "output", index);
    const goss_status status = find_value(session, input, index, &value, error);
    if (status) return status;
    *info = (goss_tensor_info){
        .bytes = plain_bytes(value),
        .name = value->name,
        .dtype = (int32_t)value->dtype,
        .rank = value->rank,
    };
    memcpy(info->dims, value->dims, sizeof info->dims);
    return GOSS_OK;
}

goss_status goss_session_input(const goss_session *session, uint32_t index, goss_tensor_info *info, goss_error *error)
{
    return describe_value(session, true, index, info, error);
}

goss_status goss_session_output(const goss_session *session, uint32_t index, goss_tensor_info *info, goss_error *error)
{
    return describe_value(session, false, index, info, error);
}

goss_status goss_session_layer(const goss_session *session, uint32_t index, goss_layer_info *info, goss_error *error)
{
    if (!session || !info) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_session_layer: a pointer is NULL");
    if (index >= session->info.layers)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "layer %u does not exist: the model has %u", index,
                         session->info.layers);

    const goss_layer *layer = &session->plan.layers[index];
    *info = (goss_layer_info){
        .macs = layer->macs,
        .dense_macs = layer->dense_macs,
        .weight_bytes = layer->state_bytes,
        .tensor_bytes = plain_bytes(layer->output),
        .name = layer->name,
        .op = layer->op->name,
        .kernel = layer->kernel_name,
        .reason = layer->reason,
        .rank = layer->output->rank,
    };
    memcpy(info->dims, layer->output->dims, sizeof info->dims);
    for (uint32_t i = 0; i < GOSS_NODE_MAX_INPUTS; i++) {
        const goss_weights *weights = layer->weights[i];
        if (layer->inputs[i]) info->tensor_bytes += plain_bytes(layer->inputs[i]);
        if (!weights) continue;
        info->weight_bytes += weights->bytes;
        if (i > 1) continue; /* a bias or normalization: nothing in it can be sparse */
        info->weights += weights->all;
        info->nonzeros += weights->elements;
    }
    return GOSS_OK;
}

/* ---- Running -------------------------------------------------------------------------------------------- */

static goss_status check_binding(const goss_session *session, bool input, uint32_t index, const void *data,
                                 size_t bytes, goss_error *error)
{
    const goss_value *value = NULL;
    const char *kind = input ? "input" : "output";
    const goss_status status = find_value(session, input, index, &value, error);
    if (status) return status;
    if (!data) return goss_fail(error, GOSS_INVALID_ARGUMENT, "%s '%.60s': data is NULL", kind, value->name);
    if (bytes != plain_bytes(value))
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "%s '%.60s': %zu bytes given, %zu expected", kind, value->name,
                         bytes, plain_bytes(value));
    if ((uintptr_t)data % value->element_bytes != 0)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "%s '%.60s': data is not aligned to %zu bytes", kind,
                         value->name, value->element_bytes);
    return GOSS_OK;
}

goss_status goss_session_bind_input(goss_session *session, uint32_t index, const void *data, size_t bytes,
                                    goss_error *error)
{
    const goss_status status = check_binding(session, true, index, data, bytes, error);
    if (!status) session->bound_inputs[index] = data;
    return status;
}

goss_status goss_session_bind_output(goss_session *session, uint32_t index, void *data, size_t bytes, goss_error *error)
{
    const goss_status status = check_binding(session, false, index, data, bytes, error);
    if (!status) session->bound_outputs[index] = data;
    return status;
}

/* Between the caller's plain array and a value's planes. */
static void copy_in(const goss_value *value, const unsigned char *plain)
{
    const size_t bytes = value->pixels * value->element_bytes, stride = value->stride * value->element_bytes;
    unsigned char *planes = (unsigned char *)value->data;
    for (size_t plane = 0; plane < value->images * value->channels; plane++)
        memcpy(planes + plane * stride, plain + plane * bytes, bytes);
}

static void copy_out(const goss_value *value, float *plain)
{
    for (size_t plane = 0; plane < value->images * value->channels; plane++, plain += value->pixels)
        memcpy(plain, value->data + plane * value->stride, value->pixels * sizeof *plain);
}

static goss_status check_no_nan(const goss_session *session, const goss_value *value, const float *plain,
                                goss_error *error)
{
    if (value->dtype != GOSS_DTYPE_F32) return GOSS_OK; /* integers */
    const size_t count = plain_bytes(value) / sizeof *plain;
    if (session->plan.kernels->all_finite_f32(plain, count)) return GOSS_OK;
    for (size_t i = 0; i < count; i++)
        if (plain[i] != plain[i])
            return goss_fail(error, GOSS_INVALID_ARGUMENT, "input '%.60s' holds NaN at element %zu of %zu", value->name,
                             i, count);
    return GOSS_OK; /* infinities are the caller's business */
}

static goss_status check_threads(const goss_session *session, goss_error *error)
{
    if (!goss_pool_lost(session->plan.pool)) return GOSS_OK;
    return goss_fail(error, GOSS_WORKER_FAILED,
                     "a thread that shared the work stopped, so the results are incomplete; create a new session");
}

static goss_status check_ready(const goss_session *session, goss_error *error)
{
    const goss_status lost = check_threads(session, error);
    if (lost) return lost;
    for (uint32_t i = 0; i < session->info.inputs; i++) {
        const goss_value *value = &session->plan.values[session->inputs[i]];
        if (!session->bound_inputs[i])
            return goss_fail(error, GOSS_INVALID_ARGUMENT, "input '%.60s' is not bound", value->name);
        const goss_status status = check_no_nan(session, value, session->bound_inputs[i], error);
        if (status) return status;
    }
    for (uint32_t i = 0; i < session->info.outputs; i++)
        if (!session->bound_outputs[i])
            return goss_fail(error, GOSS_INVALID_ARGUMENT, "output '%.60s' is not bound",
                             session->plan.values[session->outputs[i]].name);
    return GOSS_OK;
}

static goss_status begin_run(const goss_session *session, goss_error *error)
{
    const goss_status status = check_ready(session, error);
    if (status) return status;
    for (uint32_t i = 0; i < session->info.inputs; i++)
        copy_in(&session->plan.values[session->inputs[i]], session->bound_inputs[i]);
    return GOSS_OK;
}

static goss_status end_run(const goss_session *session, goss_error *error)
{
    for (uint32_t i = 0; i < session->info.outputs; i++)
        copy_out(&session->plan.values[session->outputs[i]], session->bound_outputs[i]);
    return check_threads(session, error);
}

goss_status goss_session_run(goss_session *session, goss_error *error)
{
    if (!session) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_session_run: session is NULL");
    return goss_session_run_layers(session, 0, session->info.layers, error);
}

goss_status goss_session_run_layers(goss_session *session, uint32_t first, uint32_t count, goss_error *error)
{
    if (!session) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_session_run_layers: session is NULL");
    if (first != 0 && first != session->next_layer)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "layer %u asked for, but it is the turn of layer %u", first,
                         session->next_layer);
    if (count > session->info.layers - first)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "%u layers from layer %u asked for; the model has %u", count,
                         first, session->info.layers);

    session->next_layer = 0; /* after a failure, too */
    const goss_status status = first == 0 ? begin_run(session, error) : GOSS_OK;
    if (status) return status;
    const goss_layer *layers = session->plan.layers;
    for (uint32_t i = first; i < first + count; i++) layers[i].run(&layers[i]);
    if (first + count == session->info.layers) return end_run(session, error);
    session->next_layer = first + count;
    return GOSS_OK;
}
