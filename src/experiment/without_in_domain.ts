/**
 * Runs without in-domain images: what they cannot tell, and what cannot be asked of them.
 *
 * @module
 */
import { none, type OpenSets } from "../../data/mod.ts";
import type { Objective } from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import { checkpointsOf, type RunConfig } from "./config.ts";
import { type Method, methods } from "../methods/mod.ts";
import type { WithoutInDomain } from "./documents.ts";
import type { Taken } from "./taken.ts";

/** Why figures are null, and what would tell them, as documents and pages say it. */
export const reason =
  "There are no in-domain images, so accuracy, Brier score, NLL, calibration, AUROC, FPR95 and " +
  "the share rejected at a threshold set on such images are not told; --in-domain NAME or FOLDER tells them";

/** The same in short, for a run that begins. */
export const remark =
  "There are no in-domain images; --in-domain NAME or FOLDER would tell accuracy, calibration and detection too";

/** Whether a run has no in-domain images. */
export function isWithout({ inDomain }: Pick<RunConfig, "inDomain">): boolean {
  return inDomain === none;
}

/** What a document says in the place of figures in-domain. */
export function withoutInDomain(
  { sets: { inDomain: { set } }, taken: { classes } }: {
    readonly sets: Pick<OpenSets, "inDomain">;
    readonly taken: Pick<Taken, "classes">;
  },
): WithoutInDomain {
  return { reason, classes, classNames: set.classes.length === classes ? [...set.classes] : null };
}

/**
 * Refuses what in-domain images are needed for, where there are none.
 *
 * @throws UserError naming it
 */
export function checkWithout(config: RunConfig, purpose: "train" | "use"): void {
  if (!isWithout(config)) return;
  if (purpose === "train") throw cannot("train", "a model learns from them");
  if (checkpointsOf(config) === undefined) {
    throw cannot(
      "run",
      "there is no trained model to attack",
      "name one by --checkpoint or --model-file, or a set by --in-domain",
    );
  }
  const { name, posterior, ensemble }: Method = methods[config.mode];
  if (posterior) {
    throw cannot(
      `use ${name}`,
      "its posterior is over images that the model was taught",
      `${named}, or use --mode ${(ensemble ? methods.deep_ensemble : methods.baseline).name}`,
    );
  }
  if (config.battery !== undefined) {
    throw cannot(
      "make a battery",
      "its figures compare both sets",
      `${named}, or leave out --battery`,
    );
  }
  if (config.scores !== undefined) {
    throw cannot(
      "fit scores",
      "they learn from the images that the model was taught",
      `${named}, or leave out --scores`,
    );
  }
  if (config.temperatureScaling) {
    throw cannot(
      "fit a temperature",
      "it is fitted on half of them",
      `${named}, or leave out --temperature-scaling`,
    );
  }
  const { on = "out" } = config;
  if (on !== "out") {
    throw cannot("attack", `--on ${on} attacks them`, `${named}, or leave out --on`);
  }
}

/**
 * Refuses an objective that takes class means of training images, where there are none.
 *
 * @throws UserError naming it
 */
export function checkObjective(config: RunConfig, { name, means }: Objective): void {
  if (!isWithout(config) || !means) return;
  const state = `the objective "${shortened(name, 60)}" takes class means of training images`;
  throw cannot("attack", state, `${named}, or choose another --objective`);
}

/** Refuses an evaluation, which is of in-domain images in the first place. */
export function checkEvaluation(config: RunConfig): void {
  if (isWithout(config)) {
    throw cannot(
      "evaluate",
      "accuracy, calibration and detection are figures of them",
      `${named}, or use attack`,
    );
  }
}

const named = "name a set or a folder by --in-domain";

function cannot(what: string, state: string, remedy = named): UserError {
  return new UserError(`Cannot ${what} without in-domain images: ${state}; ${remedy}`);
}
