/**
 * @file Numbers as people read them.
 */

/** @param {number[]} values  at least one */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** @param {number} bytes */
export function showBytes(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

/** @param {number} count */
export function showCount(count) {
  return count < 1e6 ? `${Math.round(count / 1e3)} thousand` : `${(count / 1e6).toFixed(1)} million`;
}

/** @param {number} milliseconds */
export function showMs(milliseconds) {
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`;
}

/** @param {number} share  0..1 */
export function showPercent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
