/**
 * Adversarially trained ensemble: members that also learn from their own adversarial images.
 *
 * Paper: B. Lakshminarayanan et al., NeurIPS 2017, algorithm 1; I. Goodfellow et al., ICLR 2015.
 *
 * Every step makes `x' = clip01(x + 0.001 n + epsilon sign(d CE(x + 0.001 n, y) / dx))` with the
 * network in evaluation, then descends `CE(x, y) + CE(x', y)`: a sum, not a mean, so the step is about
 * twice as long as a baseline's. Evaluation and attack are those of the deep ensemble.
 *
 * @module
 */
import {
  add,
  clip,
  crossEntropy,
  grad,
  mean,
  Pass,
  scale,
  sign,
  stopGradient,
  type Tensor,
} from "../nn/mod.ts";
import { Classifier, classifiers } from "./classifier.ts";
import { ensemble, ensembleDifferences } from "./deep_ensemble.ts";
import type { Own } from "./options.ts";
import type { MethodOf, ModelOptionsOf, TrainContext, TrainStep } from "./types.ts";

/** Standard deviation of the noise on the image that the training's attack starts from. */
const startNoise = 0.001;

const own = {
  hyperparameters: {
    epsilon: {
      about: "Radius of adversarial training",
      min: 0,
      max: 1,
      unit: "pixels",
      default: (network) => network.epsilon,
      folder: "eps",
    },
  },
  differences: ensembleDifferences,
} as const satisfies Own;

/** Several adversarially trained classifiers. */
export const deepEnsembleAt: MethodOf<typeof own> = {
  ...own,
  name: "deep_ensemble_at",
  title: "Adversarially trained ensemble",
  models: classifiers,
  family: "deep_ensemble_at",
  ensemble: true,
  members: { usual: 10, quick: 2 },
  dropLast: false,
  passes: { train: 9, attack: 3 },
  attack: "fgsm",
  startNoise: 0,
  create: (model, options) => new AdversariallyTrained(model, options),
  subject: ensemble,
};

class AdversariallyTrained extends Classifier {
  readonly #epsilon: number;

  constructor(name: string, options: ModelOptionsOf<typeof own>) {
    super(name, options);
    this.#epsilon = options.epsilon;
  }

  override train(images: Tensor, labels: Tensor, { pass }: TrainContext): TrainStep {
    const start = add(images, scale(pass.draws.normal(images.shape), startNoise));
    const loss = crossEntropy(this.logits(start, new Pass(false)), labels);
    const [slope = start] = grad(loss, [start]);
    const adversarial = clip(add(start, scale(sign(slope), this.#epsilon)), 0, 1);
    const logits = this.logits(images, pass);
    const clean = mean(crossEntropy(logits, labels));
    const attacked = mean(
      crossEntropy(this.logits(stopGradient(adversarial), pass), labels),
    );
    return { loss: add(clean, attacked), logits };
  }
}
