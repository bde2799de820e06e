// The model that ships: llama.cpp runs the elastic file at full width, and every level as a plain model.
import {fileURLToPath} from "node:url";
import {compareElms, referenceRuns} from "../lib/parity.mjs";

const kModel = fileURLToPath(new URL("../../../examples/models/elms-mini.gguf", import.meta.url));

/** What the model was made for: a story, and requests among described functions. */
const kPrompts = [
  "Once upon a time, there was a little",
  "Choose the function that fits the request.\nget_weather: tell the forecast for a place\nalarm: set a clock to ring " +
    "at a time\nplay_music: start a song or an album\nRequest: will it rain in oslo this weekend\nFunction:",
  "Functions of this device:\ntimer: count down from a time\nmake_call: ring somebody up\nweather: tell the forecast\n" +
    "Request: please phone my sister\nFunction:",
];

export const kSharedFiles = [];

export async function run(env) {
  const reference = await referenceRuns(env, kModel, kPrompts, 32);
  await compareElms(env, "elastic file, full width", kModel, reference);
  const {levels} = await env.elms.info(kModel);
  if (levels.length < 5) throw new Error(`${levels.length} levels: the scenario proves little`);
  for (let level = 0; level + 1 < levels.length; ++level) {
    const extracted = env.scratch(`level${level}.gguf`);
    await env.elms.json("extract", kModel, "--level", level, "-o", extracted);
    const runs = await referenceRuns(env, extracted, kPrompts, 24);
    await compareElms(env, `level ${level} (${runs.architecture})`, kModel, runs, ["--level", level]);
  }
}
