// What repeated measurements say.
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Greatest minus least, over the median. */
export const spread = values => (Math.max(...values) - Math.min(...values)) / median(values);

export const summary = values => ({median: median(values), spread: spread(values), values});
