/**
 * @file Gets the bytes of a model or an engine, with progress and cancellation. Not public.
 */
import { GossamerError } from "./errors.mjs";

/** @typedef {string | URL | Response | ArrayBuffer | Uint8Array} Source  strings are URLs, relative to the page */

/**
 * @typedef {object} Content
 * @property {Uint8Array} bytes  the caller's own when the source was bytes
 * @property {string} url   "" when the source was bytes
 * @property {string} type  Content-Type, or ""
 */

/**
 * @param {Source} source
 * @param {object} options
 * @param {AbortSignal} [options.signal]
 * @param {(loaded: number, total: number | null) => void} options.onProgress  bytes; null = not known
 * @returns {Promise<Content>}
 * @throws {GossamerError} "fetch-failed" | "aborted" | "invalid-argument"
 */
export async function readSource(source, { signal, onProgress }) {
  const bytes = asBytes(source);
  if (bytes) {
    onProgress(bytes.length, bytes.length);
    return { bytes, url: "", type: "" };
  }
  const url = source instanceof Response ? source.url : resolve(/** @type {string | URL} */ (source));
  try {
    const response = source instanceof Response ? source : await fetch(url, { signal });
    if (!response.ok) {
      const status = `${response.status} ${response.statusText}`.trim();
      throw new GossamerError("fetch-failed", `${url}: the server answers ${status}.`);
    }
    const content = await readBody(response, { signal, onProgress });
    return { bytes: content, url, type: response.headers.get("Content-Type") ?? "" };
  } catch (error) {
    if (signal?.aborted) throw new GossamerError("aborted", "Loading was aborted.", { cause: error });
    if (error instanceof GossamerError) throw error;
    throw new GossamerError("fetch-failed", `${url}: cannot be fetched (${error}).`, { cause: error });
  }
}

/** @param {Source} source */
function asBytes(source) {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  return null;
}

/** @param {string | URL} source */
function resolve(source) {
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new GossamerError("invalid-argument", "A model is a URL, a Response, an ArrayBuffer or a Uint8Array.");
  }
  try {
    return new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch {
    throw new GossamerError("invalid-argument", `${JSON.stringify(source)} is no URL.`);
  }
}

/**
 * @param {Response} response
 * @param {{signal?: AbortSignal, onProgress: (loaded: number, total: number | null) => void}} options
 */
async function readBody(response, { signal, onProgress }) {
  // A compressed body's Content-Length counts other bytes than those that arrive here.
  const length = response.headers.has("Content-Encoding") ? null : response.headers.get("Content-Length");
  const total = length === null ? null : Number(length);
  const chunks = [];
  let loaded = 0;
  onProgress(0, total);
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body ?? new Blob().stream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    signal?.throwIfAborted();
    chunks.push(part.value);
    loaded += part.value.length;
    onProgress(loaded, total);
  }
  return concatenate(chunks, loaded);
}

/** @param {Uint8Array[]} chunks @param {number} length */
function concatenate(chunks, length) {
  const bytes = new Uint8Array(length);
  let end = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, end);
    end += chunk.length;
  }
  return bytes;
}
