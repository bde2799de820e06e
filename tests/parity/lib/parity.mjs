// The comparison that every scenario is made of: a file in llama.cpp, a file in elms, some prompts.
import assert from "node:assert/strict";
import {rmSync} from "node:fs";
import {compareRuns, greatestError} from "./compare.mjs";
import {dequantise} from "./dequantise.mjs";
import {ReferenceModel} from "./reference.mjs";

/** A real, trained model, and text of its kind to calibrate with; below the shared folder. */
export const kStoriesModel = "models/stories260K.gguf";
export const kStoriesText = "data/tinystories/tinystories_sample_2MB.txt";

/** Candidates asked of both sides in each step. */
const kTop = 10;

/** Beginnings of stories, as a small model knows them; one has digits only, one is not ASCII. */
export const kPrompts = [
  "Once upon a time",
  "One day, a little girl named Lily went to the park.",
  "The big dog was very hungry and",
  "Tom and his mom",
  "\"Can I play with you?\" asked the",
  "There was a cat. The cat liked to sleep in the sun. One morning",
  "It was a rainy day, so Ben",
  "1, 2, 3!",
  "The old man caf\u00e9 \u20ac \u732b",
  "She said, \"Thank you\"",
];

/**
 * Greedy runs of llama.cpp, and what exact arithmetic has in their place: {architecture, noise, endsAt(token), runs:
 * [{prompt, promptTokens, steps, exact}]}.
 *
 * Exact means llama.cpp again, with the same weights and the KV cache in f32, which agrees with a computation in double
 * to 2e-6. Left to itself llama.cpp rounds queries, keys, values and attention weights to f16, activations too where
 * weights are f16, and to 8 bits where they are quantised. `noise` is how far that takes it from exact.
 */
export async function referenceRuns({llama, scratch}, modelPath, prompts, nSteps) {
  const model = await ReferenceModel.open(llama, modelPath);
  const reference = {architecture: model.architecture, noise: 0, runs: []};
  const ends = new Set();
  for (const prompt of prompts) {
    const promptTokens = model.tokenize(prompt);
    const steps = await model.greedy(promptTokens, nSteps, kTop);
    for (const {token} of steps) if (model.isEndOfGeneration(token)) ends.add(token);
    reference.runs.push({prompt, promptTokens, steps});
  }
  await model.close();
  reference.endsAt = token => ends.has(token);

  const exactPath = scratch("exact.gguf");
  dequantise(modelPath, exactPath);
  const exact = await ReferenceModel.open(llama, exactPath, {cache: "F32"});
  for (const run of reference.runs) {
    run.exact = await exact.candidates(run.promptTokens, run.steps.map(step => step.token), kTop);
    reference.noise = Math.max(reference.noise, greatestError(run.steps.map(step => step.top), run.exact));
  }
  await exact.close();
  rmSync(exactPath);
  return reference;
}

function addComparison(report, label, run, found, {noise, endsAt}) {
  const result = compareRuns(run.steps, found, {noise, endsAt});
  const distance = greatestError(found.top.slice(0, result.steps), run.exact);
  report.add(label, result, {noise, distance});
}

/** Compares elms on `modelPath` with reference runs, prompt by prompt. `choice`: e.g. ["--level", 3]. */
export async function compareElms({elms, report}, name, modelPath, reference, choice = []) {
  for (const [i, run] of reference.runs.entries()) {
    const label = `${name}, prompt ${i}`;
    try {
      const found = await elms.greedy(modelPath, run.prompt, run.steps.length, {choice, nTop: kTop});
      assert.deepEqual(found.prompt_token_ids, run.promptTokens, "the prompt's tokens differ");
      addComparison(report, label, run, found, reference);
    } catch (error) {
      report.addError(label, error);
    }
  }
}

/** Compares llama.cpp on another file with reference runs: do both files hold the same model? */
export async function compareFiles({llama, report}, name, modelPath, reference) {
  const model = await ReferenceModel.open(llama, modelPath);
  for (const [i, run] of reference.runs.entries()) {
    const steps = await model.greedy(run.promptTokens, run.steps.length, kTop);
    const found = {tokens: steps.map(step => step.token), top: steps.map(step => step.top)};
    addComparison(report, `${name}, prompt ${i}`, run, found, reference);
  }
  await model.close();
}
