"""Pruning in the patterns that the engine's kernels run fast."""
