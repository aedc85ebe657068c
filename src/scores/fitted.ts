/**
 * Scores that are fitted: what they have learned as parameters on a device, and what an attack on each lowers.
 *
 * @module
 */
import type { Attackable, Objective } from "../attack/mod.ts";
import { neg, Parameter, type Tensor } from "../nn/mod.ts";
import type { Fit, FitTensors, Score, Scored } from "./types.ts";

/** A score with what it has learned. */
export interface FittedScore {
  /** Its name. */
  readonly name: string;
  /** The score itself. */
  readonly of: Score;
  /** What it has learned, in f64; nothing where it learns nothing. */
  readonly fit: Fit;
  /** The same for a device, in f32; to be released. */
  readonly parameters: readonly Parameter[];
  /** Its value for each of the images `[B, ...]`, `[B]`, **higher for more in-domain**. */
  values(model: Scored, images: Tensor): Tensor;
  /** What makes an image look more in-domain by this score. */
  readonly objective: Objective;
}

/** A score by what it has learned; what it needs of the model, the model must have. */
export function fittedScore(of: Score, fit: Fit): FittedScore {
  const parameters = new Map(
    Object.entries(fit).map(([name, { shape, values }]) => [
      name,
      new Parameter(shape, Float32Array.from(values)),
    ]),
  );
  const tensors: FitTensors = Object.fromEntries(
    [...parameters].map(([name, parameter]) => [name, parameter.tensor]),
  );
  const surrogate = of.surrogate?.bind(of) ?? of.score.bind(of);
  return {
    name: of.name,
    of,
    fit,
    parameters: [...parameters.values()],
    values: (model, images) => of.score(model, images, tensors),
    objective: {
      name: of.name,
      about: `minus the score by ${of.about}`,
      needs: of.needs ?? [],
      loss: (model: Attackable, images) => neg(surrogate(model, images, tensors)),
    },
  };
}
