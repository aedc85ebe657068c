/**
 * Your own objective: what an attack lowers, by what a model answers. Here the entropy of its probabilities, in nats.
 *
 *     ./denow task attack --objective examples/objective_entropy.ts --steps 20
 *
 * @module
 */
import { nn, type Objective } from "mirage";

export default {
  name: "own entropy",
  about: "the entropy of the answer",
  /** The lower, the surer the model: one number an image, `[B]`, of images `[B, C, H, W]`. */
  loss(model, images, { draws }): nn.Tensor {
    // A model that samples draws its noise from `draws`, afresh at every step.
    const logP = model.logProbabilities(images, draws); // [B, classes]
    return nn.neg(nn.sum(nn.mul(nn.exp(logP), logP), [1]));
  },
} satisfies Objective;
