// The command line tool under test.
import {execFile} from "node:child_process";
import {promisify} from "node:util";

const execute = promisify(execFile);

export class Elms {
  constructor(path) {
    this.path = path;
  }

  /** Runs a subcommand with --json and parses what it prints; its stderr is in the error when it fails. */
  async json(...args) {
    const command = [...args, "--json"].map(String);
    let stdout;
    try {
      ({stdout} = await execute(this.path, command, {maxBuffer: 1 << 28}));
    } catch (failure) {
      throw new Error(`elms ${command.join(" ")}: exit ${failure.code ?? failure.signal}\n${failure.stderr ?? failure}`);
    }
    try {
      return JSON.parse(stdout);
    } catch (failure) {
      throw new Error(`elms ${command.join(" ")}: printed no JSON (${failure.message}): ${stdout.slice(0, 300)}`);
    }
  }

  /** Greedy continuation; `choice` is e.g. ["--level", 3]. Resolves to the JSON of `elms run`. */
  async greedy(model, prompt, nSteps, {choice = [], nTop = 10} = {}) {
    return await this.json("run", model, "--prompt", prompt, "-n", nSteps, "--temp", 0, "--threads", 1,
                           "--top-logprobs", nTop, ...choice);
  }

  async info(model) {
    return await this.json("info", model);
  }
}
