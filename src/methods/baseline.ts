/**
 * Baseline: one network trained by cross-entropy, whose softmax is its uncertainty.
 *
 * @module
 */
import { Classifier, classifiers } from "./classifier.ts";
import { single } from "./single.ts";
import type { MethodOf } from "./types.ts";

/** One plain classifier. */
export const baseline: MethodOf = {
  name: "baseline",
  title: "Baseline",
  models: classifiers,
  family: "baseline",
  ensemble: false,
  hyperparameters: {},
  differences: {},
  dropLast: false,
  passes: { train: 3, attack: 3 },
  attack: "fgsm",
  startNoise: 0,
  create: (model, options) => new Classifier(model, options),
  subject: single,
};
