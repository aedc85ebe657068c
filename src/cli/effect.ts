/**
 * Options that change nothing in what was asked are refused: whoever typed one expects it to act.
 *
 * @module
 */
import { attackSettings } from "../run.ts";
import type { RunConfig } from "../config.ts";
import { UserError } from "../errors.ts";
import { familyOf, type Hyperparameters, type Method, methods } from "../methods/mod.ts";
import {
  concerning,
  procedureOf,
  type ProtocolOption,
  protocolOptionNames,
  protocolOptions,
} from "../protocol.ts";
import { flagOf } from "./flags.ts";

/** What was asked. */
interface Asked {
  readonly command: "train" | "eval" | "attack";
  readonly config: RunConfig;
  readonly method: Method;
  readonly family: string;
}

/** Why an option does nothing, and which one does; undefined where it acts. */
type Idle = (asked: Asked) => readonly [state: string, remedy: string] | undefined;

const leaveOut = "leave it out";

/** An option that belongs to some methods only. */
function of(name: keyof Hyperparameters, remedy: string = leaveOut): Idle {
  const owners = Object.values<Method>(methods).filter((m) => m.hyperparameters.includes(name))
    .map((m) => m.name);
  return ({ method }) =>
    method.hyperparameters.includes(name) ? undefined : [
      `${method.name} does not use it, ${owners.join(" and ")} ${
        owners.length > 1 ? "do" : "does"
      }`,
      remedy,
    ];
}

/** An option of the attack. */
const ofAttack: Idle = ({ command }) =>
  command === "attack" ? undefined : [`${command} does not attack`, "use attack"];

/** An option of the training, which a named checkpoint has behind it. */
const ofTraining: Idle = ({ command, config }) =>
  command === "train" || config.checkpoint === undefined
    ? undefined
    : ["the checkpoint is trained already", "leave out one of them"];

const idle: Readonly<Record<string, Idle>> = {
  epsilon: of("epsilon", "the attack's radius is --epsilon-attack"),
  lambdaReg: of("lambdaReg"),
  nInducingPoints: of("nInducingPoints"),
  kernel: of("kernel"),
  numEnsembles: ({ method }) =>
    method.ensemble ? undefined : [`${method.name} is one model`, "use --mode deep_ensemble"],
  epsilonAttack: ofAttack,
  targeted: ofAttack,
  saveImages: ofAttack,
  steps: (asked) =>
    ofAttack(asked) ??
      (attackSettings(asked.config).name === "fgsm"
        ? [`fgsm, the attack on ${asked.method.name}, has one step`, "add --attack pgd"]
        : undefined),
  epochs: ofTraining,
  lr: ofTraining,
  momentum: ofTraining,
  weightDecay: ofTraining,
  microBatch: ofTraining,
  augmentation: (asked) =>
    ofTraining(asked) ??
      (asked.family === "LeNet" ? ["LeNet never learns from crops", leaveOut] : undefined),
};

/** A difference between the protocols that concerns other modes or networks. */
function ofProtocol(name: string): Idle {
  return ({ method, family }) => {
    if (name in concerning(procedureOf("paper"), { mode: method.name, family })) return undefined;
    const option: ProtocolOption | undefined = Object.entries(protocolOptions).find(([n]) =>
      n === name
    )?.[1];
    const whom = [option?.modes?.join(", "), option?.families?.join(", ")].filter(Boolean);
    return [`it concerns ${whom.join(" with ")}`, leaveOut];
  };
}

/**
 * Refuses the first option that was typed and changes nothing.
 *
 * @param args what was typed
 * @throws UserError naming the option, why it does nothing, and what does
 */
export function checkEffects(
  command: Asked["command"],
  config: RunConfig,
  args: readonly string[],
): void {
  const method: Method = methods[config.mode];
  const family = familyOf(config.model ?? method.models[0] ?? "");
  const typed = new Set(args.map((arg) => arg.split("=")[0]));
  const rules: [string, Idle][] = [
    ...Object.entries(idle),
    ...protocolOptionNames.map((name): [string, Idle] => [name, ofProtocol(name)]),
  ];
  for (const [name, rule] of rules) {
    const flag = name === "augmentation" ? "--no-augmentation" : flagOf(name);
    const found = typed.has(flag) ? rule({ command, config, method, family }) : undefined;
    if (!found) continue;
    const [state, remedy] = found;
    throw new UserError(`Cannot use ${flag} here: ${state}; ${remedy}`);
  }
}
