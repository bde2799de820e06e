// A real, trained model as it comes: the same tokens and probabilities.
import {compareElms, kPrompts, kStoriesModel, referenceRuns} from "../lib/parity.mjs";

export const kSharedFiles = [kStoriesModel];

export async function run(env) {
  const model = env.shared(kStoriesModel);
  const reference = await referenceRuns(env, model, kPrompts, 64);
  await compareElms(env, "stories260K", model, reference);
}
