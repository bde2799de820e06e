// The comparison itself must be able to fail. Needs Node.js only: node --test compare.test.mjs
import assert from "node:assert/strict";
import test from "node:test";
import {compareRuns, probabilityError} from "./lib/compare.mjs";

const step = (...pairs) => ({token: pairs[0][0], top: pairs.map(([id, p]) => ({id, p}))});
const reference = [step([7, 0.6], [8, 0.3], [9, 0.05]), step([1, 0.5], [2, 0.4995], [3, 0.0001]), step([4, 0.9], [5, 0.05], [6, 0.01])];
const actual = changes => ({tokens: reference.map(s => s.token), top: reference.map(s => s.top), ...changes});

test("equal runs are the same", () => {
  const result = compareRuns(reference, actual());
  assert.deepEqual({same: result.same, steps: result.steps, error: result.error}, {same: true, steps: 3, error: 0});
});

test("another token is a difference", () => {
  const result = compareRuns(reference, actual({tokens: [8, 1, 4]}));
  assert.equal(result.same, false);
  assert.equal(result.partedAt, 0);
  assert.match(result.problem, /step 0: token 8 instead of 7/);
});

test("runs may part at a tie, and nothing after it counts", () => {
  const result = compareRuns(reference, actual({tokens: [7, 2, 99], top: [reference[0].top, reference[1].top, []]}));
  assert.equal(result.same, true);
  assert.equal(result.partedAt, 1);
  assert.equal(result.steps, 2);
});

test("a tie is no excuse for probabilities that are off", () => {
  const off = [{id: 2, p: 0.6}, {id: 1, p: 0.4}, {id: 3, p: 0.0001}];
  assert.equal(compareRuns(reference, actual({tokens: [7, 2, 99], top: [reference[0].top, off, []]})).same, false);
});

test("a probability beyond the tolerance is a difference even when tokens agree", () => {
  const off = (i, by) => actual({top: reference.map((s, k) => k === i ? [{id: s.token, p: s.top[0].p + by}, ...s.top.slice(1)] : s.top)});
  assert.match(compareRuns(reference, off(0, 1.5e-3)).problem, /step 0: a probability is off by 1.50e-3/);
  assert.equal(compareRuns(reference, off(2, 1.5e-3)).same, true);
  assert.equal(compareRuns(reference, off(2, 2.5e-3)).same, false);
});

test("the reference's own noise widens tolerance and ties, and is told", () => {
  const off = actual({tokens: [8, 1, 4], top: [[{id: 8, p: 0.46}, {id: 7, p: 0.44}, {id: 9, p: 0.05}], reference[1].top, reference[2].top]});
  assert.equal(compareRuns(reference, off, {noise: 0.07}).same, false);  // probabilities lie 0.16 apart
  const result = compareRuns(reference, off, {noise: 0.16});
  assert.deepEqual({same: result.same, strict: result.strict, partedAt: result.partedAt}, {same: true, strict: false, partedAt: 0});
  assert.equal(compareRuns(reference, actual(), {noise: 0.5}).strict, true);
});

test("runs that are too short or too long are differences", () => {
  const short = actual({tokens: [7, 1], top: reference.slice(0, 2).map(s => s.top)});
  assert.match(compareRuns(reference, short).problem, /ends after 2 of 3/);
  assert.equal(compareRuns(reference, short, {endsAt: token => token === 1}).same, true);
  assert.equal(compareRuns(reference, short, {endsAt: token => token === 7}).same, false);
  const long = actual({tokens: [7, 1, 4, 4], top: [...reference, reference[2]].map(s => s.top)});
  assert.equal(compareRuns(reference, long).same, false);
  assert.equal(compareRuns(reference, {tokens: [], top: []}).same, false);
  assert.equal(compareRuns(reference, actual({top: []})).same, false);
});

test("a candidate that only one side lists is bounded by the other side's last one", () => {
  const a = [{id: 1, p: 0.9}, {id: 2, p: 0.05}];
  assert.ok(Math.abs(probabilityError(a, [{id: 1, p: 0.9}, {id: 3, p: 0.049}]) - 0.001) < 1e-12);
  assert.ok(probabilityError(a, [{id: 3, p: 0.9}, {id: 2, p: 0.05}]) > 0.8);
  assert.equal(probabilityError(a, []), 0.9);
  assert.equal(probabilityError(a, [{id: 1, p: NaN}, {id: 2, p: 0.05}]), Infinity);
});
