/**
 * Options that change nothing in what was asked are refused: whoever typed one expects it to act.
 *
 * @module
 */
import { isSetName, none } from "../../data/mod.ts";
import type { Attack } from "../attack/mod.ts";
import {
  checkpointsOf,
  drawsSamples,
  membersOf,
  optionEntries,
  optionFacts,
  procedureFor,
  type RunConfig,
} from "../experiment/config.ts";
import { UserError } from "../base/errors.ts";
import { isModulePath } from "../base/module.ts";
import { batteries, type Battery } from "../experiment/batteries.ts";
import { hyperparameters, type Method, methods, type Network, networkOf } from "../methods/mod.ts";
import type { Declared, Hyperparameter } from "../methods/options.ts";
import {
  type ProtocolOption,
  type ProtocolOptionName,
  protocolOptionNames,
  protocolOptions,
  type Stage,
} from "../methods/protocol.ts";
import { attackSettings } from "../experiment/attack.ts";
import { flagOf } from "./flags.ts";

/** What was asked. */
export interface Asked {
  readonly command: "train" | "eval" | "attack";
  readonly config: RunConfig;
  readonly method: Method;
  readonly network: Network;
  /** The attack of the module that the configuration names, where it names one. */
  readonly own: Attack | undefined;
}

/** Why an option does nothing, and what to do instead. */
export type Idleness = readonly [state: string, remedy: string];

/** Whether an option does nothing; undefined where it acts. */
export type Idle = (asked: Asked) => Idleness | undefined;

/** The remedy for an option that nothing needs. */
export const leaveOut = "leave it out";

/** What each command does with a model. */
const stages = {
  train: ["training"],
  eval: ["training", "evaluation"],
  attack: ["training", "evaluation", "attack"],
} as const satisfies Record<Asked["command"], readonly Stage[]>;

/** Where an option of a run acts; undefined of one that acts everywhere. */
function actingOf(name: string): readonly Stage[] | undefined {
  const entry = Object.entries(optionEntries).find(([key]) => key === name)?.[1];
  return entry && optionFacts.get(entry)?.acts;
}

/** Whether an option of a run can change anything in a command, whatever else is asked. */
export function actsIn(command: Asked["command"] | "table", name: string): boolean {
  const reached: readonly Stage[] = stages[command === "table" ? "attack" : command];
  return actingOf(name)?.some((stage) => reached.includes(stage)) ?? true;
}

/** Whether a battery attacks a model of another seed too, which is trained where a checkpoint is named as well. */
function trainsAnother({ battery, modelFile }: RunConfig): boolean {
  if (modelFile !== undefined) return false;
  const { members }: Pick<Battery, "members"> = battery ? batteries[battery] : { members: [] };
  return members.some(({ surrogate }) => surrogate);
}

/** An option that acts in some stages only, of which a named checkpoint has the training behind it. */
function at(name: string): Idle {
  const acting = actingOf(name);
  return ({ command, config }) => {
    if (!acting) return undefined;
    const reached: readonly Stage[] = stages[command];
    const common = acting.filter((stage) => reached.includes(stage));
    const given = command !== "train" && checkpointsOf(config) !== undefined &&
      !trainsAnother(config);
    if (common.some((stage) => stage !== "training" || !given)) return undefined;
    if (common.length > 0) {
      const what = config.modelFile === undefined ? "checkpoint" : "model file";
      return [`the ${what} is trained already`, "leave out one of them"];
    }
    return acting.includes("evaluation")
      ? [`${command} does not evaluate`, "use eval or attack"]
      : [`${command} does not attack`, "use attack"];
  };
}

/** An option that belongs to some methods or some networks only. */
function ofSome({ option, modes, networks }: Declared<Hyperparameter>): Idle {
  const owners = networks ?? modes;
  const whose = `${owners.join(" and ")} ${owners.length > 1 ? "do" : "does"}`;
  const isRadius = "unit" in option && option.unit === "pixels";
  return ({ method, network, command }) => {
    const { name } = networks ? network : method;
    return owners.includes(name) ? undefined : [
      `${name} does not use it, ${whose}`,
      isRadius && command === "attack" ? "the attack's radius is --epsilon-attack" : leaveOut,
    ];
  };
}

/** An option of the steps of an attack, of which some attacks have one, and some no noise to start with. */
function ofSteps(choices: readonly Partial<RunConfig>[]): Idle {
  return ({ config, method, own }) => {
    const settings = (attack: RunConfig["attack"]): readonly ReturnType<typeof attackSettings>[] =>
      choices.flatMap((choice) => possible({ ...config, attack, ...choice }, own));
    const acts = (attack: RunConfig["attack"]): boolean =>
      variety(
        settings(attack).map((made) => ({
          ...made,
          projectStart: made.projectStart && made.startNoise > 0 && !made.init,
        })),
      );
    // In a battery the published attack is made, whatever else is.
    const made = config.battery === undefined ? [] : ["published" as const];
    if (!variety(settings("pgd")) || [...made, config.attack].some(acts)) return undefined;
    const { name } = attackSettings(config, own);
    return [
      `${name}, the attack on ${method.name}, has no use for it`,
      acts("pgd") ? "add --attack pgd" : leaveOut,
    ];
  };
}

/** The settings of an attack; none where it does not know the norm. */
function possible(config: RunConfig, own: Attack | undefined): ReturnType<typeof attackSettings>[] {
  try {
    return [attackSettings(config, own)];
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

/** An option of an attack's runs, which one of the user's own may pass over. */
function ofRuns(choice: Partial<RunConfig>): Idle {
  return ({ config, own }) => {
    const without = { ...config, restarts: undefined, init: undefined };
    const settings = [without, { ...without, ...choice }].flatMap((of) => possible(of, own));
    return settings.length < 2 || variety(settings)
      ? undefined
      : [`${settings[0]?.name} has no use for it`, leaveOut];
  };
}

/** Whether there are several of them. */
function variety(values: readonly object[]): boolean {
  return new Set(values.map((value) => JSON.stringify(value))).size > 1;
}

/** An option that acts where all of these find that it does. */
function all(...rules: readonly Idle[]): Idle {
  return (asked) => {
    for (const rule of rules) {
      const found = rule(asked);
      if (found) return found;
    }
    return undefined;
  };
}

/** A difference between the protocols, which may concern other modes, networks, stages or attacks. */
function ofProtocol(name: ProtocolOptionName): Idle {
  const { modes, batchNorm, ...option }: ProtocolOption = protocolOptions[name];
  const whom = [modes?.join(", "), batchNorm && "networks with batch normalisation"].filter(Boolean)
    .join(" with ");
  const values = "values" in option ? option.values : [option.paper, option.corrected];
  const concerned: Idle = ({ method, network }) =>
    (modes?.includes(method.name) ?? true) && (!batchNorm || network.batchNorm)
      ? undefined
      : [`it concerns ${whom}`, leaveOut];
  const several: Idle = ({ config }) =>
    option.ofMembers && membersOf(config) === 1 ? ["there is one member", leaveOut] : undefined;
  return all(
    concerned,
    several,
    at(name),
    besides(option),
    ofSteps(values.map((value) => ({ [name]: value }))),
  );
}

/** A difference that decides nothing without a value of another. */
function besides({ onlyWith }: ProtocolOption): Idle {
  return ({ config }) => {
    if (!onlyWith) return undefined;
    const { difference, value } = onlyWith;
    const found = Object.entries(procedureFor(config)).find(([name]) => name === difference)?.[1];
    const flag = flagOf(difference);
    return found === value ? undefined : [`${flag} is ${found}`, `add ${flag} ${value}`];
  };
}

const ensemble = Object.values<Method>(methods).find((method) => method.ensemble)?.name;

/** Options of one attack, which the members of a battery have of their own; a module of the user's is a member more. */
const ofOneAttack: ReadonlySet<string> = new Set([
  ...[
    "objective",
    "direction",
    "steps",
    "init",
    "restarts",
    "eot",
    "targeted",
    "saveImages",
    "thorough",
  ],
  "attack",
]);

const notOfBattery = (name: string): Idle => ({ config }) =>
  config.battery === undefined ||
    isModulePath(Object.entries(config).find(([key]) => key === name)?.[1])
    ? undefined
    : [`the members of the battery ${config.battery} have their own`, "leave out one of them"];

const ofModelFile: Idle = ({ config: { modelFile } }) =>
  modelFile === undefined
    ? ["there is no model file", "add --model-file, or leave it out"]
    : undefined;

const ofBattery: Idle = ({ config: { battery } }) =>
  battery === undefined ? ["there is no battery", "add --battery standard"] : undefined;

/** An option of images of the user's own in these places. */
function ofOwn(places: readonly ("inDomain" | "outDomain")[]): Idle {
  return ({ config, command }) => {
    const acting = places.filter((place) => place === "inDomain" || command !== "train");
    const isOwn = (place: "inDomain" | "outDomain"): boolean => {
      const name = config[place];
      return name !== undefined && name !== none && !isSetName(name);
    };
    if (acting.some(isOwn)) return undefined;
    const flags = acting.map(flagOf).join(" or ");
    return ["it is for images of your own", `name their folder or file by ${flags}`];
  };
}

/** Every option that does nothing somewhere. */
export const idle: ReadonlyMap<string, Idle> = new Map<string, Idle>(([
  ...Object.entries(hyperparameters)
    .map(([name, declared]) => [name, all(ofSome(declared), at(name))] as const),
  [
    "numEnsembles",
    ({ method, config: { modelFile } }) =>
      method.ensemble
        ? undefined
        : modelFile === undefined
        ? [`${method.name} is one model`, `use --mode ${ensemble}`]
        : ["each model file is one model", "name others by --model-file too"],
  ],
  ...Object.keys(optionEntries).filter((name) => actingOf(name) && !(name in hyperparameters))
    .map((name) => [name, at(name)] as const),
  [
    "eot",
    all(
      at("eot"),
      ({ method, config }) =>
        drawsSamples(config)
          ? undefined
          : [`${method.name} draws no samples, and answers the same each time`, leaveOut],
    ),
  ],
  [
    "model",
    ({ config: { modelFile } }) =>
      modelFile === undefined ? undefined : ["the model file is the network", leaveOut],
  ],
  ...["input", "output", "features", "preprocess"].map((name) =>
    [name, all(at(name), ofModelFile)] as const
  ),
  ["batteryMode", all(at("batteryMode"), ofBattery)],
  ["labels", ofOwn(["inDomain"])],
  ["resize", ofOwn(["inDomain", "outDomain"])],
  [
    "targeted",
    all(
      at("targeted"),
      ({ config: { direction, on } }) =>
        direction === "under" || (on !== undefined && on !== "out")
          ? [
            "it steers out-domain images to a class, to be taken for it",
            "leave out --direction and --on",
          ]
          : undefined,
    ),
  ],
  ["restarts", all(at("restarts"), ofRuns({ restarts: 1 }))],
  ["init", all(at("init"), ofRuns({ init: "contrast" }))],
  ["steps", all(at("steps"), ofSteps([{ steps: 1 }, { steps: 2 }]))],
  [
    "augmentation",
    all(
      ({ network }) =>
        network.augmentation === 0
          ? [`${network.name} never learns from crops`, leaveOut]
          : undefined,
      at("augmentation"),
    ),
  ],
  ...protocolOptionNames.map((name) => [name, ofProtocol(name)] as const),
] as [string, Idle][]).map((
  [name, rule],
) => [name, ofOneAttack.has(name) ? all(notOfBattery(name), rule) : rule]));

/**
 * Refuses the first option that was typed and changes nothing.
 *
 * @param args what was typed
 * @param own the attack of the module that the configuration names, where it names one
 * @throws UserError naming the option, why it does nothing, and what does
 */
export function checkEffects(
  command: Asked["command"],
  config: RunConfig,
  args: readonly string[],
  own?: Attack,
): void {
  const typed = typedIn(args);
  for (const [name, rule] of idle) {
    const flag = flagFor(name);
    if (typed.has(flag)) refuse(flag, rule(asking(command, config, own)));
  }
}

/**
 * Options among those that are named that change nothing, and why.
 *
 * @param own the attack of the module that the configuration names, where it names one
 */
export function idleOptions(
  command: Asked["command"],
  config: RunConfig,
  names: readonly string[],
  own?: Attack,
): { readonly name: string; readonly state: string }[] {
  const asked = asking(command, config, own);
  return names.flatMap((name) => {
    const [state] = idle.get(name)?.(asked) ?? [];
    return state === undefined ? [] : [{ name, state }];
  });
}

/** Flags that were typed, without their values. */
export function typedIn(args: readonly string[]): ReadonlySet<string> {
  return new Set(args.map((arg) => arg.split("=")[0] ?? ""));
}

/** The flag of an option of a run: `--no-augmentation` of `augmentation`. */
export function flagFor(name: string): string {
  return name === "augmentation" ? "--no-augmentation" : flagOf(name);
}

/** What is asked by a configuration. */
export function asking(command: Asked["command"], config: RunConfig, own?: Attack): Asked {
  const method: Method = methods[config.mode];
  const network = networkOf(config.model ?? method.models[0] ?? "");
  return { command, config, method, network, own };
}

/** Refuses a flag that does nothing. */
export function refuse(flag: string, idleness: Idleness | undefined): void {
  if (!idleness) return;
  const [state, remedy] = idleness;
  throw new UserError(`Cannot use ${flag} here: ${state}; ${remedy}`);
}
