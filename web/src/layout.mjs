/**
 * @file The C structs that cross the engine's border, as they lie in wasm32 memory. Used by engine.mjs; not public.
 */

/** Fields as gossamer.h declares them; a test compares the two. */
export const STRUCTS = {
  goss_options: { isa: "const char *", threads: "uint32_t" },
  goss_session_info: {
    arena_bytes: "uint64_t",
    tensor_bytes: "uint64_t",
    largest_live_bytes: "uint64_t",
    weight_bytes: "uint64_t",
    macs: "uint64_t",
    dense_macs: "uint64_t",
    isa: "const char *",
    notes: "const char *",
    inputs: "uint32_t",
    outputs: "uint32_t",
    layers: "uint32_t",
    threads: "uint32_t",
  },
  goss_tensor_info: {
    bytes: "uint64_t",
    name: "const char *",
    dtype: "int32_t",
    rank: "uint32_t",
    dims: "uint32_t[6]",
  },
  goss_layer_info: {
    macs: "uint64_t",
    dense_macs: "uint64_t",
    weights: "uint64_t",
    nonzeros: "uint64_t",
    weight_bytes: "uint64_t",
    tensor_bytes: "uint64_t",
    name: "const char *",
    op: "const char *",
    kernel: "const char *",
    reason: "const char *",
    rank: "uint32_t",
    dims: "uint32_t[6]",
  },
};

/** @typedef {keyof typeof STRUCTS} StructName */
/** @typedef {{name: string, type: string, offset: number, length: number}} Field */

/** Size and alignment of a type, in bytes.
 * @type {Record<string, number>} */
const SIZES = { "uint64_t": 8, "uint32_t": 4, "int32_t": 4, "const char *": 4 };

/** Where the fields of each struct lie, and its size.
 * @type {Record<string, {fields: Field[], bytes: number}>} */
export const LAYOUTS = Object.fromEntries(Object.entries(STRUCTS).map(([name, types]) => [name, layout(types)]));

/** @param {Record<string, string>} types */
function layout(types) {
  const fields = [];
  let end = 0;
  let widest = 1;
  for (const [name, declared] of Object.entries(types)) {
    const [, type, count] = /** @type {RegExpMatchArray} */ (declared.match(/^([^[]+)(?:\[(\d+)\])?$/));
    const length = count === undefined ? 1 : Number(count);
    const offset = roundUp(end, SIZES[type]);
    fields.push({ name, type, offset, length });
    end = offset + SIZES[type] * length;
    widest = Math.max(widest, SIZES[type]);
  }
  return { fields, bytes: roundUp(end, widest) };
}

/** @param {number} value @param {number} multiple */
function roundUp(value, multiple) {
  return Math.ceil(value / multiple) * multiple;
}
