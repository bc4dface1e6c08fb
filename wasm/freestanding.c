/* What the modules answer themselves, so that they import no functions. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __wasm_atomics__

bool emscripten_resize_heap(size_t bytes);

bool emscripten_resize_heap(size_t bytes)
{
    const size_t page = 65536, pages = bytes / page + (bytes % page != 0), have = __builtin_wasm_memory_size(0);
    return pages <= have || __builtin_wasm_memory_grow(0, pages - have) != SIZE_MAX;
}

#else

void emscripten_notify_memory_growth(size_t memory_index);

/* JavaScript takes a fresh view of memory for every use, so nobody needs to be told. */
void emscripten_notify_memory_growth(size_t memory_index) { (void)memory_index; }

#endif
