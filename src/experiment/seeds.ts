/**
 * Seeds of runs and of models, which may be two things: a model that was named was trained before the run.
 *
 * @module
 */
import { isImported } from "../methods/mod.ts";

/** Seeds that models were trained with; null of one whose file does not say it. */
export type ModelSeeds = readonly (number | null)[];

/** A run's seed, and those of its models where they are not known, or not as many from the run's own on. */
export function seedsText(seed: number, models: ModelSeeds = [seed]): string {
  if (models.length === 0) return `seed ${seed}`;
  const [first = null] = models;
  const whose = models.length === 1 ? "model of" : "models of";
  if (rising(models) && first === seed) return listed(models);
  return `seed ${seed}; ${whose} ${listed(models)}`;
}

/** The same of a result; of models out of files, which have no seeds, the run's alone. */
export function seedsOf(
  { seed, seeds, model }: {
    readonly seed: number;
    readonly seeds?: ModelSeeds | undefined;
    readonly model: string;
  },
): string {
  return seedsText(seed, isImported(model) ? [] : seeds);
}

/** `seeds 0 to 4`, `seeds 1, 3`, `seed 2`. */
export function listed(models: ModelSeeds): string {
  const [first, last] = [models[0], models.at(-1)];
  const noun = models.length === 1 ? "seed" : "seeds";
  if (models.every((seed) => seed === null)) return `unknown ${noun}`;
  if (models.length === 1) return `${noun} ${first}`;
  if (rising(models)) return `${noun} ${first} to ${last}`;
  return `${noun} ${models.map((seed) => seed ?? "unknown").join(", ")}`;
}

/** Whether each is one more than that before. */
export function rising(models: ModelSeeds): boolean {
  return models.every((seed, i) => seed !== null && seed === (models[0] ?? NaN) + i);
}
