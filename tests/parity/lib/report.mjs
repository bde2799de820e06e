// One line for each comparison, and a summary.
const short = value => value.toExponential(1);

export class Report {
  #passed = 0;
  #failed = 0;
  #strict = 0;
  #parted = 0;
  #greatest = {error: 0, noise: 0, distance: 0};

  /** result: what compareRuns() returned; noise and distance: of the reference, and of elms, from exact arithmetic. */
  add(name, result, {noise, distance}) {
    for (const [key, value] of Object.entries({error: result.error, noise, distance})) {
      this.#greatest[key] = Math.max(this.#greatest[key], value);
    }
    if (!result.same) return this.#line(false, name, result.problem);
    const facts = [`${result.steps} steps within ${short(result.error)}`];
    if (result.partedAt !== null) facts.push(`parted at step ${result.partedAt} (margin ${short(result.margin)})`);
    if (!result.strict) facts.push(`allowed for as the reference is off by ${short(noise)} itself`);
    this.#strict += result.strict ? 1 : 0;
    this.#parted += result.partedAt !== null ? 1 : 0;
    this.#line(true, name, facts.join(", "));
  }

  /** A comparison that could not even be made. */
  addError(name, error) {
    this.#line(false, name, error.message ?? String(error));
  }

  /** Something that either holds or not. */
  check(name, ok, text) {
    this.#strict += ok ? 1 : 0;
    this.#line(ok, name, text);
  }

  #line(ok, name, text) {
    if (ok) this.#passed += 1;
    else this.#failed += 1;
    console.log(`${ok ? "ok  " : "FAIL"} ${name}: ${text}`);
  }

  get ok() {
    return this.#failed === 0 && this.#passed > 0;
  }

  summary() {
    const {error, noise, distance} = this.#greatest;
    return `${this.#passed} of ${this.#passed + this.#failed} comparisons agree, ${this.#strict} without regard to noise, ` +
      `${this.#parted} up to a tie. Largest difference of a probability: ${short(error)} between the two, ` +
      `${short(noise)} from llama.cpp to exact arithmetic, ${short(distance)} from elms`;
  }
}
