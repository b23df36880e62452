// Between a number and its unit there is a space that does not break.

/** A number of bytes for people. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes}\u00a0bytes`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)}\u00a0kB`;
  return `${(bytes / 1e6).toFixed(1)}\u00a0MB`;
}

/** A duration for people. */
export function duration(ms) {
  if (ms < 10) return `${ms.toFixed(1)}\u00a0ms`;
  if (ms < 1000) return `${ms.toFixed(0)}\u00a0ms`;
  return `${(ms / 1000).toFixed(2)}\u00a0s`;
}

/** A probability for people. */
export function percent(probability) {
  return `${(probability * 100).toFixed(1)}\u00a0%`;
}

/** As many words for things as there are things. */
export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
