/* Gossamer: inference of pruned neural networks on CPUs. The whole public C API.
 *
 *   goss_model   *model;      what to compute: a validated view of a .goss file
 *   goss_session *session;    how to compute it here: plan, arena, kernels
 *
 *   goss_model_load(bytes, size, &model, &error);
 *   goss_session_create(model, NULL, &session, &error);
 *   goss_session_bind_input(session, 0, image, image_bytes, &error);
 *   goss_session_bind_output(session, 0, probabilities, probabilities_bytes, &error);
 *   goss_session_run(session, &error);
 *   goss_session_destroy(session);
 *   goss_model_destroy(model);
 *
 * Rules that hold everywhere. Nothing is global. The library never prints, exits or aborts. Every function
 * that can fail returns a goss_status and fills the caller's goss_error, which may be NULL. Buffers that the
 * caller passes in stay the caller's. Strings that come back are UTF-8 and live as long as the handle they
 * came from. Tensors cross this API as plain row-major arrays (NCHW for images; NHWC for a model's input of
 * interleaved pixels), without padding. */
#ifndef GOSSAMER_H
#define GOSSAMER_H

#include <stddef.h>
#include <stdint.h>

#ifndef GOSS_API
#define GOSS_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* cdef: begin. From here to "cdef: end" plain declarations only: cffi and ctypes read this text. */

/* ---- Status and errors ---------------------------------------------------------------------------- */

typedef enum goss_status {
    GOSS_OK = 0,
    GOSS_INVALID_ARGUMENT = 1, /* the caller: an index, a name, a size, a value such as NaN */
    GOSS_MODEL_CORRUPT = 2,    /* the file: truncated, altered, or not a .goss file */
    GOSS_UNSUPPORTED = 3,      /* valid, but not in this build: a newer version, an operator, an ISA */
    GOSS_OUT_OF_MEMORY = 4,    /* an allocation failed; nothing was kept */
    GOSS_WORKER_FAILED = 5     /* a browser stopped a worker while it computed; the session is of no more use */
} goss_status;

/* Filled on failure; untouched on success. One sentence: what, where, expected, found, next step. */
typedef struct goss_error {
    int32_t status;    /* a goss_status */
    char message[252]; /* NUL-terminated UTF-8, cut at a character when too long */
} goss_error;

/* ---- About ------------------------------------------------------------------------------------------ */

/* Number of this header's binary interface. A binding compares it with the one it was written for. */
GOSS_API uint32_t goss_abi_version(void);

/* The library's version, "major.minor.patch". */
GOSS_API const char *goss_version(void);

/* The instruction sets that this machine can run, best first, of: "avx512_vnni", "avx512", "avx2", "neon_dotprod",
 * "neon", "wasm_relaxed", "wasm_simd", "generic".
 * goss_isa_name() returns NULL when index >= goss_isa_count(). */
GOSS_API uint32_t goss_isa_count(void);
GOSS_API const char *goss_isa_name(uint32_t index);

/* Does multiply-adds of f32 in registers, on one thread, as many a second as the instruction set can: who measures how
 * long it takes knows the peak that layers are compared with.
 *
 * @param isa     one of goss_isa_name(); NULL = the best of this machine
 * @param rounds  at most 2^24; some tens or hundreds of multiply-adds each
 * @param done    receives how many multiply-adds were done
 * @return GOSS_OK; GOSS_INVALID_ARGUMENT an ISA that this machine lacks, too many rounds, or a NULL pointer. */
GOSS_API goss_status goss_multiply_adds(const char *isa, uint32_t rounds, uint64_t *done, goss_error *error);

/* Memory aligned to 64 bytes, for callers without an allocator of their own (JavaScript). NULL when there is
 * none. Free with goss_free(), which takes NULL. */
GOSS_API void *goss_alloc(size_t bytes);
GOSS_API void goss_free(void *memory);

/* ---- Model ------------------------------------------------------------------------------------------ */

typedef struct goss_model goss_model;

/* Checks a .goss file (runtime/FORMAT.md) completely and keeps a view of it.
 *
 * @param data   the file's bytes; must stay valid and unchanged until goss_model_destroy(). Weights are used
 *               in place when data is 64-byte aligned; otherwise the file is copied once.
 * @param bytes  the file's size
 * @param model  receives the handle; NULL on failure
 *
 * @return GOSS_OK; GOSS_MODEL_CORRUPT names the section or record; GOSS_UNSUPPORTED a newer version or an
 *         unknown operator; GOSS_OUT_OF_MEMORY; GOSS_INVALID_ARGUMENT a NULL pointer. */
GOSS_API goss_status goss_model_load(const void *data, size_t bytes, goss_model **model, goss_error *error);

/* Releases the handle, not the bytes. Sessions made from it must be gone. Takes NULL. */
GOSS_API void goss_model_destroy(goss_model *model);

/* Key / value pairs that came with the model. Keys in use: "labels" (class names in output order, one a line),
 * "image_mean" and "image_scale" (one number a channel, separated by spaces: the model's input is
 * (pixel - mean) * scale for pixels 0..255), "title", "license".
 * @return GOSS_OK; GOSS_INVALID_ARGUMENT when index >= count. */
GOSS_API uint32_t goss_model_metadata_count(const goss_model *model);
GOSS_API goss_status goss_model_metadata(const goss_model *model, uint32_t index, const char **key, const char **value,
                                         goss_error *error);

/* ---- Session ---------------------------------------------------------------------------------------- */

typedef struct goss_session goss_session;

typedef struct goss_options {
    const char *isa; /* one of goss_isa_name(); NULL = the best of this machine */
    uint32_t
        threads; /* 0 = what the machine has, at most 4. Fewer than asked for is no error: goss_session_info tells */
} goss_options;

typedef struct goss_session_info {
    uint64_t arena_bytes;        /* the one allocation that holds every intermediate tensor and scratch */
    uint64_t tensor_bytes;       /* what the same tensors and scratch would take without sharing memory */
    uint64_t largest_live_bytes; /* lower bound of arena_bytes: the most that is alive during one layer */
    uint64_t weight_bytes;       /* weights and indices in the file, plus what loading and planning expanded */
    uint64_t macs;               /* multiply-adds of one run, zeros left out */
    uint64_t dense_macs;         /* the same with every weight present */
    const char *isa;             /* the instruction set that runs */
    const char *notes;           /* what was reduced and why, one sentence a line; "" when nothing was */
    uint32_t inputs;
    uint32_t outputs;
    uint32_t layers;
    uint32_t threads; /* threads that run */
} goss_session_info;

enum { GOSS_MAX_RANK = 6 };

typedef enum goss_dtype {
    GOSS_DTYPE_F32 = 1,
    GOSS_DTYPE_U8 = 2, /* inputs only: pixels, [N][H][W][C] */
    GOSS_DTYPE_I8 = 3, /* within a model only: quantized weights */
    GOSS_DTYPE_U7 = 4, /* within a model only: quantized tensors */
    GOSS_DTYPE_F16 = 5 /* within a file only: weights, f32 once they are loaded */
} goss_dtype;

typedef struct goss_tensor_info {
    uint64_t bytes; /* of the plain array that crosses this API */
    const char *name;
    int32_t dtype; /* a goss_dtype */
    uint32_t rank;
    uint32_t dims[6]; /* the first rank entries */
} goss_tensor_info;

typedef struct goss_layer_info {
    uint64_t macs;         /* multiply-adds of one run, zeros left out */
    uint64_t dense_macs;   /* with every weight present */
    uint64_t weights;      /* elements of the weight matrix, zeros included; biases are not counted */
    uint64_t nonzeros;     /* of these, elements stored */
    uint64_t weight_bytes; /* in the file, biases included, plus what planning expanded */
    uint64_t tensor_bytes; /* of the tensors that it reads and writes */
    const char *name;
    const char *op;     /* "conv", "fully_connected", "add", ... */
    const char *kernel; /* e.g. "pointwise_f32_4x1" */
    const char *reason; /* why this kernel, one sentence */
    uint32_t rank;
    uint32_t dims[6]; /* of the output */
} goss_layer_info;

/* Plans the model for this machine and allocates all that running needs.
 *
 * @param model    must outlive the session; several sessions may share it
 * @param options  NULL = defaults
 * @param session  receives the handle; NULL on failure
 *
 * @return GOSS_OK; GOSS_INVALID_ARGUMENT an ISA that this machine lacks (the message lists what it has);
 *         GOSS_MODEL_CORRUPT shapes that do not fit each other; GOSS_UNSUPPORTED an operator's variant;
 *         GOSS_OUT_OF_MEMORY. */
GOSS_API goss_status goss_session_create(const goss_model *model, const goss_options *options, goss_session **session,
                                         goss_error *error);

/* Takes NULL. */
GOSS_API void goss_session_destroy(goss_session *session);

GOSS_API goss_status goss_session_describe(const goss_session *session, goss_session_info *info, goss_error *error);

/* @return GOSS_OK; GOSS_INVALID_ARGUMENT when index is not below the count in goss_session_info. */
GOSS_API goss_status goss_session_input(const goss_session *session, uint32_t index, goss_tensor_info *info,
                                        goss_error *error);

/* Of some outputs only a run tells the number of rows: those of a non-maximum suppression. Before the first run,
 * dims[0] is the most that there can be; after a run, how many it gave, which may be 0. They stand first in the bound
 * memory, and `bytes` stays that of the most. */
GOSS_API goss_status goss_session_output(const goss_session *session, uint32_t index, goss_tensor_info *info,
                                         goss_error *error);
GOSS_API goss_status goss_session_layer(const goss_session *session, uint32_t index, goss_layer_info *info,
                                        goss_error *error);

/* Names the caller's memory that the next runs read from and write to. It must stay valid until it is bound
 * anew or the session is destroyed, and be aligned to the element (4 bytes for f32).
 *
 * @param bytes  must equal goss_tensor_info.bytes
 * @return GOSS_OK; GOSS_INVALID_ARGUMENT, and the former binding stays. */
GOSS_API goss_status goss_session_bind_input(goss_session *session, uint32_t index, const void *data, size_t bytes,
                                             goss_error *error);
GOSS_API goss_status goss_session_bind_output(goss_session *session, uint32_t index, void *data, size_t bytes,
                                              goss_error *error);

/* Runs the model once on the bound memory. Allocates nothing.
 *
 * @param session  one thread at a time; different sessions may run at once
 * @return GOSS_OK, and every bound output is written;
 *         GOSS_INVALID_ARGUMENT  something is not bound, or an input holds NaN: the message names the tensor
 *         and the element, no output was touched, and the session can run again;
 *         GOSS_WORKER_FAILED  in browsers only. */
GOSS_API goss_status goss_session_run(goss_session *session, goss_error *error);

/* Runs layers first .. first + count - 1, so that the caller can measure each. What goss_session_run() does is to run
 * all of them at once. Inputs are read with layer 0; outputs are written with the last layer.
 *
 * @param first  0, or the layer behind the last one that ran: a run goes through the layers in order
 * @return as goss_session_run(); GOSS_INVALID_ARGUMENT also when it is another layer's turn, or there are fewer. */
GOSS_API goss_status goss_session_run_layers(goss_session *session, uint32_t first, uint32_t count, goss_error *error);

/* ---- Images ----------------------------------------------------------------------------------------- */

/* Turns a decoded photo into an input tensor: the largest centered square, averaged over exact pixel areas to
 * width x height, then (value - mean) * scale. Averages are integers 0..255, rounded half up, so that every
 * build and every language computes the same bits.
 *
 * @param pixels    [pixel_height][pixel_width][channels], u8; with 4 channels the last is alpha (not
 *                  premultiplied) and the picture is laid over white
 * @param channels  3 or 4
 * @param mean, scale  3 values each
 * @param tensor    receives [3][height][width] f32
 *
 * @return GOSS_OK; GOSS_INVALID_ARGUMENT a size of 0 or above 32768, other channels, NULL; tensor untouched. */
GOSS_API goss_status goss_image_to_tensor(const uint8_t *pixels, uint32_t pixel_width, uint32_t pixel_height,
                                          uint32_t channels, const float *mean, const float *scale, float *tensor,
                                          uint32_t width, uint32_t height, goss_error *error);

/* The same without the last step: what a model takes whose input is interleaved pixels.
 *
 * @param image  receives [height][width][3], u8
 *
 * @return GOSS_OK; GOSS_INVALID_ARGUMENT as goss_image_to_tensor(); image untouched. */
GOSS_API goss_status goss_image_to_pixels(const uint8_t *pixels, uint32_t pixel_width, uint32_t pixel_height,
                                          uint32_t channels, uint8_t *image, uint32_t width, uint32_t height,
                                          goss_error *error);

/* cdef: end */

#ifdef __cplusplus
}
#endif
#endif
