/**
 * The surrogate of a run: models trained as its own are but for their seeds. Images that are made on it are answered
 * by the run's own: what deceives one model often deceives another (N. Papernot, P. McDaniel and I. Goodfellow,
 * "Transferability in machine learning: from phenomena to black-box attacks using adversarial samples", 2016), also
 * one whose own slopes lead an attack nowhere.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { UserError } from "../base/errors.ts";
import { once } from "../base/once.ts";
import type { Reporter } from "../base/reporter.ts";
import type { Statement } from "../checkpoint/statement.ts";
import { otherwise } from "../checkpoint/stored.ts";
import type { Surrogate } from "../evaluate/battery.ts";
import { Draws, input, type Parameter, Random, release, topologicalOrder } from "../nn/mod.ts";
import { accountFor, trainingState } from "./pending.ts";
import { listed } from "./seeds.ts";
import { type Settled, settledOn, type Setup } from "./setup.ts";
import { builtFor, findOrTrain, type LoadedModel, type Workbench } from "./workbench.ts";

/** Copies of a surrogate that a run kept. */
export interface KeptSurrogate {
  /** Their files, one a member. */
  readonly paths: readonly string[];
  readonly seeds: readonly number[];
}

/** A surrogate that can be found or trained, or was kept. */
export interface SurrogateModels extends Surrogate {
  /** One a member. */
  readonly seeds: readonly number[];
  /**
   * Finds or trains it, as the run's own models are, to as many epochs; afterwards it can be used, and holds no memory
   * on the device until it is. To be called when the run's own are there.
   *
   * @throws UserError as for the run's own
   */
  find(reporter: Reporter, clock: Clock): Promise<LoadedModel[]>;
}

/**
 * The surrogate of a run that is set up.
 *
 * @param kept its copies where the run that is made again has some
 * @throws UserError when models were named whose training cannot be made again with another seed
 */
export async function surrogateOf(
  own: Workbench,
  kept?: KeptSurrogate,
): Promise<SurrogateModels> {
  const setup = kept ? keptSetup(own, kept) : await surrogateSetup(own);
  const { members, subject } = builtFor(setup);
  const free = (): void => release(own.device, parametersOf({ ...own, members, subject }));
  return {
    seeds: setup.seeds,
    subject,
    free,
    async find(reporter, clock): Promise<LoadedModel[]> {
      const epochs = kept ? undefined : await epochsOf(own, setup);
      const config = { ...setup.config, epochs };
      reporter.note(
        `A member of the battery attacks by way of ${
          listed(setup.seeds)
        }: another model, trained alike`,
      );
      const bench = { ...own, ...setup, config, members, subject };
      const found = await findOrTrain(bench, reporter, clock);
      free();
      return found;
    },
  };
}

/** What trained models hold on the device: what checkpoints keep of them, and what their answers read besides. */
function parametersOf({ members, subject, sets }: Workbench): Parameter[] {
  const images = subject.attacked.map(() => input([1, ...sets.inDomain.set.imageShape]));
  const answer = subject.logProbabilities(images, new Draws(new Random(0).fork("samples")));
  const read = topologicalOrder([answer]).flatMap(({ source }) =>
    source.kind === "parameter" ? [source.parameter] : []
  );
  const posteriors = subject.posteriors?.map(({ precision }) => precision) ?? [];
  return [...read, ...posteriors, ...members.flatMap(({ model }) => [...model.state.values()])];
}

/**
 * A set-up in which the seeds are the next ones beyond those of a run's own models, and all else is the same.
 *
 * @throws UserError when models were named whose training cannot be made again with another seed
 */
export async function surrogateSetup(own: Setup): Promise<Setup> {
  const training = own.statements.length > 0 ? await trainingAlike(own) : {};
  const first = 1 + Math.max(...own.modelSeeds.flatMap((seed) => seed ?? []));
  return withSeeds({ ...own, ...training }, own.modelSeeds.map((_, i) => first + i), undefined);
}

function keptSetup(own: Setup, { paths, seeds }: KeptSurrogate): Setup {
  return withSeeds(own, seeds, [...paths]);
}

function withSeeds(
  own: Setup,
  seeds: readonly number[],
  checkpoint: Setup["config"]["checkpoint"],
): Setup {
  const { seed = own.config.seed } = { seed: seeds[0] };
  const config = { ...own.config, seed, checkpoint, numEnsembles: seeds.length };
  return {
    ...own,
    config,
    seeds,
    modelSeeds: seeds,
    statements: [],
    imported: undefined,
    unstated: false,
  };
}

/**
 * The training that named models have behind them, by a run's settings.
 *
 * @throws UserError when these do not say it
 */
async function trainingAlike(own: Setup): Promise<Settled> {
  const cannot = (state: string, remedy: string): UserError =>
    new UserError(`Cannot train another model as the one that is named: ${state}; ${remedy}`);
  const statements: Statement[] = [];
  for (const statement of own.statements) {
    if (!statement) {
      throw cannot(
        "its checkpoint does not say how it was trained",
        "use one that Mirage trained, or none",
      );
    }
    statements.push(statement);
  }
  const training = await onImagesOf(statements, own).catch((error) => {
    if (!(error instanceof UserError)) throw error;
    throw cannot("the images that it learned from are not there", "name them by --data-path");
  });
  const difference = await differenceOf({ ...own, ...training }, statements);
  if (difference === undefined) return training;
  throw cannot(difference, "name the options of its training");
}

/** A run's training on the whole set where models learned from that, although --limit asks for few images. */
async function onImagesOf([first]: readonly Statement[], own: Setup): Promise<Settled> {
  const { count } = await own.trainingSet();
  if (first?.data.count === count) return own;
  const whole = once(() => own.sets.inDomain.images("train"));
  return settledOn(own, { ...own.trainingConfig, limit: undefined }, whole);
}

/** In what checkpoints were trained otherwise than a set-up says, but for their seeds. */
async function differenceOf(
  setup: Setup,
  statements: readonly Statement[],
): Promise<string | undefined> {
  for (const statement of statements) {
    const difference = otherwise(statement, await accountFor(setup, statement.seed));
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/** How many epochs a surrogate is to have: as many as the run's own models, as far as they say it. */
async function epochsOf(own: Setup, surrogate: Setup): Promise<number> {
  const states = async (setup: Setup): Promise<number[]> => {
    const found: number[] = [];
    for (const seed of setup.seeds) {
      const { done, target } = await trainingState(setup, seed);
      found.push(Math.max(done, target));
    }
    return found;
  };
  if (own.statements.length === 0) return Math.max(...await states(own));
  if (own.config.epochs !== undefined) return own.config.epochs;
  // Files of best epochs say how many led to them, and not how many there were to be.
  const said = own.statements.map((of) => of?.targetEpochs ?? of?.history.length ?? 0);
  return Math.max(...said, ...await states(surrogate));
}
