/* What the standalone modules answer themselves, so that they import nothing. */
#include <stddef.h>

void emscripten_notify_memory_growth(size_t memory_index);

/* JavaScript takes a fresh view of memory for every use, so nobody needs to be told. */
void emscripten_notify_memory_growth(size_t memory_index) { (void)memory_index; }
