/**
 * Everything that determines a run, checked once at the door: of every option its range, its default, what it
 * is, and where it acts. The command line's flags and their help are made of this.
 *
 * @module
 */
import { z } from "zod";
import { isDataPath, none, setNames } from "../../data/mod.ts";
import {
  type Attack,
  type AttackName,
  attacks,
  directions,
  type InitName,
  inits,
  type Norm,
  type NormName,
  norms,
  type ObjectiveName,
  objectives,
  sides,
} from "../attack/mod.ts";
import { isModulePath, type ModulePath } from "../base/module.ts";
import { described, type Schema } from "../base/schema.ts";
import { shortened, shownValue, UserError } from "../base/errors.ts";
import {
  type Hyperparameters,
  hyperparameters,
  type Method,
  type MethodName,
  methods,
  type Network,
  networkOf,
  networks,
} from "../methods/mod.ts";
import {
  type Procedure,
  procedureOf,
  type ProtocolOption,
  protocolOptions,
} from "../methods/protocol.ts";
import { evalBatch } from "../evaluate/predict.ts";
import { batteries, type BatteryName } from "./batteries.ts";
import { attackOnFiles, modelFileEntries, modelFilesOf, settledByFiles } from "./model_files.ts";
import type { CompleteOptions, RunConfig, RunOptions } from "./options.ts";
import {
  answerEntries,
  attacking,
  batch,
  count,
  differenceEntry,
  hyperparameterEntry,
  nameOr,
  ofNetworks,
  same,
  told,
  training,
} from "./told.ts";

export { evalBatch } from "../evaluate/predict.ts";
export type { RunConfig, RunOptions } from "./options.ts";
export { checkpointsOf, listedMembers, membersOf } from "./model_files.ts";
export { differenceEntry, hyperparameterEntry, type OptionFacts, optionFacts } from "./told.ts";

/** The modes there are. */
export const modes = Object.keys(methods) as [MethodName, ...MethodName[]];

/** Thresholds of the rejection rate. */
export const thresholds = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] as const;

/** Epochs that `train` makes where nobody says otherwise. */
export const trainEpochs = 80;

/**
 * Epochs where an attack or an evaluation has to train first and nobody says how many; the embedded
 * training set is small.
 */
export const quickEpochs = { embedded: 20, downloaded: 10 } as const;

/** Images in a training step: the paper's. */
export const trainBatch = 256;

const ownEntries = Object.fromEntries(
  Object.entries(hyperparameters)
    .map(([name, { option }]) => [name, hyperparameterEntry(option)]),
) as {
  [K in keyof Hyperparameters]: z.ZodOptional<z.ZodType<Hyperparameters[K], Hyperparameters[K]>>;
};

const differenceEntries = Object.fromEntries(
  Object.entries<ProtocolOption>(protocolOptions)
    .map(([name, option]) => [name, differenceEntry(option)]),
) as { [K in keyof Procedure]: z.ZodOptional<z.ZodType<Procedure[K], Procedure[K]>> };

const cropped = Object.values<Network>(networks).filter(({ augmentation }) => augmentation > 0)
  .map(({ name }) => name).join(" or ");
const ensembles = Object.values<Method>(methods)
  .flatMap(({ name, members }) => members ? [{ name, ...members }] : []);
const ofEnsembles = `${[...new Set(ensembles.map(({ usual }) => usual))].join(" or ")}; on the ` +
  `embedded data ${ensembles.map(({ name, quick }) => `${quick} of ${name}`).join(", ")}`;

/** Steps of an attack where nobody says how many; of a module's, it says so itself. */
const ownSteps = (name: AttackName | ModulePath): number | undefined =>
  isModulePath(name) ? undefined : attacks[name].settings(1).steps;

/** What the attacks lower where nobody says. */
const objectiveWords = [
  "published",
  ...Object.values<Attack>(attacks).flatMap(({ name, objective }) =>
    objective ? [`of ${name} ${objective}`] : []
  ),
].join(", ");

/** Attacks whose steps can be chosen. */
const iterating = (Object.keys(attacks) as AttackName[]).filter((name) => {
  const { settings }: Attack = attacks[name];
  return settings(1, { steps: 2 }).steps === 2;
});

/** What may stand in the place of a set. */
const orOwn = "or a path of your images (docs/data.md)";

/** The schema of each option. */
export const optionEntries = {
  mode: told(z.enum(modes), "Method of uncertainty estimation"),
  model: told(z.string().optional(), "Network [the method's first]"),
  ...modelFileEntries,
  inDomain: told(
    nameOr([...setNames, none], isDataPath).optional(),
    `Set to train and test on, ${orOwn}; none: a trained model alone`,
    { otherwise: same(ofNetworks(({ inDomain }) => inDomain)) },
  ),
  outDomain: told(
    nameOr(setNames, isDataPath).optional(),
    `Set of what models do not know, to attack, ${orOwn}`,
    {
      otherwise: same(ofNetworks(({ outDomain }) => outDomain)),
      acts: ["evaluation", "attack"],
    },
  ),
  labels: told(
    z.string().optional(),
    "Names of the classes of images of your own in-domain, in the order of their labels: one a line, or in JSON",
    { otherwise: same("the names of their folders, sorted") },
  ),
  resize: told(
    z.boolean().default(false),
    "Resize images of your own to what the network takes: by area where they shrink, bilinear where they grow",
  ),
  protocol: told(
    z.enum(["paper", "corrected"]).default("paper"),
    "paper: as published, faults included; corrected: without them",
  ),
  seed: told(
    z.int().min(0).default(0),
    "Seed of every random number of the run; models that it trains count up from it, a model that is " +
      "named has its own behind it",
  ),
  epochs: told(count.optional(), "Passes over the training set", {
    otherwise: {
      train: String(trainEpochs),
      use: `what was begun, else ${quickEpochs.downloaded}, or ${quickEpochs.embedded} on the ` +
        "embedded data",
    },
    ...training,
  }),
  batchSize: told(batch.optional(), "Images in a step of evaluation or attack", {
    otherwise: same(String(evalBatch)),
  }),
  trainBatchSize: told(batch.optional(), "Images in a training step", {
    otherwise: same(String(trainBatch)),
  }),
  microBatch: told(batch.optional(), "Images that go through the network at once in training", {
    otherwise: same("as many as the GPU holds"),
    ...training,
  }),
  augmentation: told(
    z.boolean().default(true),
    `Random crops and mirror images, which ${cropped} learns from as published`,
    training,
  ),
  lr: told(
    z.number().positive().default(0.01),
    "Learning rate; a tenth of it from epoch 30, of that from epoch 60 on",
    training,
  ),
  momentum: told(z.number().min(0).max(1).default(0.9), "Momentum", training),
  weightDecay: told(z.number().min(0).default(1e-4), "L2 penalty on every parameter", training),
  ...ownEntries,
  objective: told(
    nameOr(Object.keys(objectives) as ObjectiveName[], isModulePath).optional(),
    "What the attack lowers: the published loss, another, or a file of yours",
    { otherwise: same(objectiveWords), ...attacking },
  ),
  direction: told(
    z.enum(directions).optional(),
    "Whether the attack makes the model surer (over) or less sure (under) of what it attacks",
    { otherwise: same("over out-domain, under in-domain"), ...attacking },
  ),
  on: told(
    z.enum(sides).optional(),
    "Which images are attacked: those out-domain, those in-domain, or both",
    { otherwise: same("out, by a battery both"), ...attacking },
  ),
  keepLabel: told(
    z.boolean().default(false),
    "Give up what would change the class that an image is taken for",
    attacking,
  ),
  thorough: told(
    z.boolean().default(false),
    "Make the checks that cost as much as the attack itself, too",
    attacking,
  ),
  init: told(
    z.enum(Object.keys(inits) as [InitName, ...InitName[]]).optional(),
    `Where the attack starts, drawn by an image's number and projected (${
      Object.values(inits).map(({ name, about }) => `${name}: ${about}`).join("; ")
    })`,
    { otherwise: same("as published, see --start"), ...attacking },
  ),
  restarts: told(
    z.int().min(0).max(100).optional(),
    "Further runs from random points of the ball; of each image the best counts",
    { otherwise: same("0"), ...attacking },
  ),
  eot: told(
    z.int().min(1).max(1000).optional(),
    "Draws of a step's loss, whose mean is lowered, where a method samples",
    { otherwise: same("1"), ...attacking },
  ),
  battery: told(
    z.enum(Object.keys(batteries) as [BatteryName, ...BatteryName[]]).optional(),
    "Several attacks, of which every image gets the worst",
    { otherwise: same("one attack"), ...attacking },
  ),
  batteryMode: told(
    z.enum(["full", "threshold"]).optional(),
    "Whether every attack of a battery sees every image, or those alone that some score still tells",
    { otherwise: same("full"), ...attacking },
  ),
  ...answerEntries,
  norm: told(
    z.enum(Object.keys(norms) as [NormName, ...NormName[]]).optional(),
    "Norm that the radius is measured in",
    { otherwise: same("linf"), ...attacking },
  ),
  epsilonAttack: told(z.number().min(0).max(1000).optional(), "Radius of the attack", {
    otherwise: same(ofNetworks(({ epsilon }) => epsilon)),
    unit: "pixels",
    ...attacking,
  }),
  numEnsembles: told(
    count.optional(),
    "Members of an ensemble, of the seeds from --seed on",
    { otherwise: same(ofEnsembles) },
  ),
  steps: told(count.max(10_000).optional(), `Iterations of ${iterating.join(", ")}`, {
    otherwise: same(iterating.map((name) => `${name}: ${ownSteps(name)}`).join(", ")),
    ...attacking,
  }),
  targeted: told(
    z.int().min(0).optional(),
    "Class to steer to instead of the model's own prediction",
    attacking,
  ),
  dataPath: told(
    z.string().optional(),
    "Folder of the data sets; the embedded data when ./Data has none",
  ),
  savePath: told(z.string().default("trained_models"), "Folder of the checkpoints and runs"),
  checkpoint: told(
    z.union([z.string(), z.array(z.string()).min(1)]).optional(),
    "Model to use: .safetensors, or PyTorch's .pt; once a member, or with {seed} in its path",
  ),
  limit: told(
    count.optional(),
    "The first N of each set, in training too; attack and eval use a model of all images where there is one",
  ),
  saveImages: told(z.boolean().default(false), "Keep every attacked image with the run", attacking),
  exactConvolutions: told(
    z.boolean().default(false),
    "Make every result of a convolution as the sum of its own products, never by Winograd's tiles",
  ),
  explain: told(z.boolean().default(false), "List the programs' dispatches, buffers and bytes"),
  time: told(
    z.boolean().default(false),
    "Time the programs' dispatches on the device, the longest first",
  ),
  ...differenceEntries,
};

/** Checks {@linkcode RunOptions}, and fills in the defaults that are the same for every run. */
export const runConfigSchema: Schema<CompleteOptions> = described<CompleteOptions, RunOptions>().by(
  z.strictObject(optionEntries),
);

/** How a configuration's experiment is run: its protocol with the options that were chosen otherwise. */
export function procedureFor(config: RunConfig): Procedure {
  return procedureOf(config.protocol, config);
}

/** Whether what a configuration's method answers is a mean of random samples. */
export function drawsSamples(config: CompleteOptions): boolean {
  const { samples = false }: Method = methods[config.mode];
  return samples === true || samples && samples(procedureOf(config.protocol, config));
}

/** The attack published on a configuration's method; on models out of files, whatever they are, pgd. */
export function publishedAttack(config: CompleteOptions): AttackName {
  const { attack }: Method = methods[config.mode];
  return modelFilesOf(config) ? attackOnFiles : attack;
}

/** The attack that a configuration asks for: the one published on its method, or what was chosen. */
export function attackNameOf(config: CompleteOptions): AttackName | ModulePath {
  const { attack } = procedureOf(config.protocol, config);
  return attack === "published" ? publishedAttack(config) : attack;
}

/**
 * What its attack lowers: what was chosen, or what the attack does by itself.
 *
 * @param own the attack of the module that it names, where it names one
 */
export function objectiveOf(config: RunConfig, own?: Attack): ObjectiveName | ModulePath {
  const name = attackNameOf(config);
  const attack: Attack | undefined = isModulePath(name) ? own : attacks[name];
  return config.objective ?? attack?.objective ?? "published";
}

/**
 * Options without what is the network's own and as published: named or not, the run is the same one. A
 * checkpoint may be of another network, which is held against what was named.
 */
function withoutPublished<O extends CompleteOptions>(options: O, network: Network): O {
  if (options.checkpoint !== undefined) return options;
  const entries = Object.entries(options).filter(([name, value]) =>
    value === undefined || network.hyperparameters[name]?.default !== value
  );
  return Object.fromEntries(entries) as O;
}

/**
 * Checks options and fills in defaults. Sets that the network was published with are left out, and what is
 * its own and as published: named or not, the run is the same one.
 *
 * @throws UserError naming the first option that is out of range
 */
export function runConfig(options: RunOptions): RunConfig {
  const parsed = runConfigSchema.safeParse(options);
  if (parsed.success) {
    const files = modelFilesOf(parsed.data);
    const settled = files && settledByFiles(files, parsed.data);
    const { epsilon, ...byFiles } = settled ?? {};
    const { inDomain, outDomain, ...rest } = { ...parsed.data, ...byFiles };
    const { mode, model = methods[mode].models[0] ?? "", norm = "linf" } = rest;
    const network = networkOf(model);
    const usual = epsilon ?? network.epsilon;
    const { epsilonAttack = norm === "linf" ? usual : undefined } = rest;
    const { [norm]: by }: Record<NormName, Norm> = norms;
    if (epsilonAttack === undefined) {
      throw new UserError(
        `Cannot attack in ${by.title} without a radius: there is no default; name one by ` +
          `--epsilon-attack, such as ${norm === "l1" ? 12 : 1.5} for digits of 28x28`,
      );
    }
    if (norm === "linf" && epsilonAttack > 1) {
      throw new UserError(
        `Cannot attack with a radius of ${
          Number(epsilonAttack.toPrecision(3))
        } in ${by.title}: pixels are in 0 to 1, and so is ` +
          "the radius; name another by --epsilon-attack, or add --norm l2",
      );
    }
    const single = rest.battery !== undefined || rest.scores !== undefined;
    const together = single && methods[mode].ensemble;
    return Object.freeze({
      // A battery judges every image by itself, and a score is of one image: there is one for all members.
      ...together ? { ensembleAttack: "joint" as const } : {},
      ...withoutPublished(rest, network),
      ...(inDomain === undefined || !files && inDomain === network.inDomain ? {} : { inDomain }),
      ...(outDomain === undefined || !files && outDomain === network.outDomain
        ? {}
        : { outDomain }),
      epsilonAttack,
      steps: rest.steps ?? ownSteps(attackNameOf(rest)),
    });
  }
  const [issue] = parsed.error.issues;
  const path = issue?.path.join(".") ?? "";
  const given = Object.entries(options).find(([key]) => key === path)?.[1];
  throw new UserError(
    `Cannot run with ${shortened(path) || "these options"}${
      given === undefined ? "" : ` = ${shownValue(given)}`
    }: ${shortened(issue?.message ?? "not valid")}`,
  );
}
