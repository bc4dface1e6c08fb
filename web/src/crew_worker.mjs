/**
 * @file All that runs in a worker of the crew: an instance of the engine's module on the engine's memory. Says that it
 * is there, gets its place, and computes until it is terminated.
 */
self.addEventListener("message", async ({ data: { module, memory, thread, stack, locals } }) => {
  const { exports } = /** @type {any} */ (await WebAssembly.instantiate(module, { env: { memory } }));
  exports.__stack_pointer.value = stack;
  exports.__wasm_init_tls?.(locals);
  exports.goss_pool_join(thread);
});
self.postMessage("ready");
