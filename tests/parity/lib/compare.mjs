// What "same tokens" means, and how far two runs agree.

/** Two correct runs may part where the reference's two best candidates lie no further apart than this. */
export const kTieMargin = 1e-3;
/** Largest difference of a probability: after the prompt, and in later steps. */
export const kTolerance = 1e-3, kLaterTolerance = 2e-3;

/**
 * Greatest difference of probability between two lists of best candidates, [{id, p}…] best first. A candidate that
 * stands in one list only had, in the other run, at most the probability of the last one listed there.
 */
export function probabilityError(a, b) {
  const known = {a: new Map(a.map(({id, p}) => [id, p])), b: new Map(b.map(({id, p}) => [id, p]))};
  const bound = list => list.length > 0 ? list.at(-1).p : 0;
  let worst = 0;
  for (const [mine, other, otherBound] of [[known.a, known.b, bound(b)], [known.b, known.a, bound(a)]]) {
    for (const [id, p] of mine) {
      const error = other.has(id) ? Math.abs(p - other.get(id)) : Math.max(0, p - otherBound);
      worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
    }
  }
  return worst;
}

/** The greatest error between two runs along the same tokens, both given as lists of candidates. */
export function greatestError(runA, runB) {
  return Math.max(0, ...runA.map((top, i) => probabilityError(top, runB[i])));
}

/**
 * Compares a greedy run with the reference.
 *
 * reference: [{token, top: [{id, p}…]}], a step each. actual: {tokens, top}, `top` likewise a list for each step.
 * noise: how far the reference itself strays from exact arithmetic. Where twice that is more than the tolerances above,
 * it takes their place: two runs that are each no further off than the reference may lie that far apart.
 * endsAt(token): whether the run may end early after this token.
 *
 * Returns {same, strict, steps, partedAt, margin, error, problem}: `steps` compared, the greatest probability error among
 * them, whether they agree without regard to noise (`strict`), and in `problem` the reason why `same` is false.
 */
export function compareRuns(reference, actual, {noise = 0, endsAt = () => false} = {}) {
  const result = {same: true, strict: true, steps: 0, partedAt: null, margin: null, error: 0, problem: null};
  const fail = problem => ({...result, same: false, strict: false, problem});
  const exceeds = (value, limit) => {
    if (value > limit) result.strict = false;
    return value > Math.max(limit, 2 * noise);
  };
  const {tokens, top} = actual;
  if (top.length !== tokens.length) return fail(`${tokens.length} tokens but ${top.length} lists of candidates`);
  if (tokens.length > reference.length) return fail(`${tokens.length} tokens instead of ${reference.length}`);

  for (const [i, step] of reference.entries()) {
    if (i === tokens.length) {
      return i > 0 && endsAt(tokens[i - 1]) ? result : fail(`ends after ${i} of ${reference.length} tokens`);
    }
    const error = probabilityError(step.top, top[i]);
    result.steps = i + 1;
    result.error = Math.max(result.error, error);
    if (exceeds(error, i === 0 ? kTolerance : kLaterTolerance)) {
      return fail(`step ${i}: a probability is off by ${error.toExponential(2)}: ${describe(step.top, top[i])}`);
    }
    if (tokens[i] === step.token) continue;
    result.partedAt = i;
    result.margin = step.top[0].p - step.top[1].p;
    if (!exceeds(result.margin, kTieMargin)) return result;
    return fail(`step ${i}: token ${tokens[i]} instead of ${step.token}, no tie (margin ${result.margin.toExponential(2)})`);
  }
  return result;
}

function describe(expected, found) {
  const list = candidates => candidates.slice(0, 4).map(({id, p}) => `${id}:${p.toFixed(5)}`).join(" ");
  return `expected ${list(expected)}, found ${list(found)}`;
}
