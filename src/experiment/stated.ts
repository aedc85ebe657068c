/**
 * What checkpoints say of themselves against what was asked for: a file is believed over a default, and a
 * contradiction is an error.
 *
 * @module
 */
import type { Statement } from "../checkpoint/statement.ts";
import type { RunConfig } from "./config.ts";
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { isOwnName, type OpenSets, setOfImages } from "../../data/mod.ts";
import { type Hyperparameters, type Method, methods, type Network } from "../methods/mod.ts";
import type { Procedure } from "../methods/protocol.ts";

/** What the checkpoints settle. */
export interface Stated {
  readonly hyperparameters: Partial<Hyperparameters>;
  /** How the trainings were done, where the protocols differ. */
  readonly procedure: Procedure;
}

/** What a checkpoint says. */
export interface Said {
  readonly path: string;
  /** How its model was trained; undefined where it says nothing of it. */
  readonly statement: Statement | undefined;
  /** What its arrays show of its network: believed where it says nothing of that. */
  readonly shown: Readonly<Record<string, number>>;
}

/** What may be said otherwise by an option. */
type Asked = Readonly<Record<string, unknown>>;

/**
 * What the shapes of a checkpoint's arrays show of its network's own hyper-parameters.
 *
 * @param tensors the features' among them by their names, which others may begin, as `feature_extractor.`
 * @throws UserError for a network outside of what can be built
 */
export function shownIn(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  network: Pick<Network, "name" | "hyperparameters">,
  path: string,
): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [name, option] of Object.entries(network.hyperparameters)) {
    const { parameter = "", axis = 0 } = option.shownBy ?? {};
    // A block of a stage has such an array too, by a longer name.
    const [own] = [...tensors.keys()].filter((key) => `.${key}`.endsWith(`.${parameter}`))
      .sort((a, b) => a.length - b.length);
    const value = tensors.get(own ?? "")?.shape[axis];
    if (!option.shownBy || value === undefined) continue;
    if ("min" in option && (value < option.min || value > (option.max ?? Infinity))) {
      throw new UserError(
        `Cannot use "${display(path)}": its ${name} is ${value}, that of ${network.name} is ` +
          `${option.min} to ${option.max}; name another`,
      );
    }
    found[name] = value;
  }
  return found;
}

/**
 * What all checkpoints agree on and the options do not contradict.
 *
 * @param said by the checkpoints that were named, one a member
 * @throws UserError naming what is said by one and otherwise by another, or by an option
 */
export function agreed(
  { config, procedure, method, sets }: {
    readonly config: RunConfig;
    readonly procedure: Procedure;
    readonly method: Method;
    readonly sets: Pick<OpenSets, "inDomain">;
  },
  said: readonly Said[],
): Stated {
  let hyperparameters: Asked = {};
  let own: Asked = {};
  for (const { path, statement, shown } of said) {
    const stated = { ...shown, ...statement?.hyperparameters };
    if (!statement) {
      hyperparameters = joined(path, stated, { ...config }, hyperparameters);
      continue;
    }
    if (statement.family !== method.family) {
      const other = Object.values<Method>(methods).find(({ family }) =>
        family === statement.family
      );
      throw new UserError(
        `Cannot load "${display(path)}" as ${method.name}: it says that it is a model of ${
          shortened(statement.family)
        }; ${other ? `use --mode ${other.name}` : "name another"}`,
      );
    }
    checkTaught(path, statement, sets);
    hyperparameters = joined(path, stated, { ...config }, hyperparameters);
    own = joined(path, statement.procedure, { ...config }, own);
  }
  return {
    hyperparameters: hyperparameters as Partial<Hyperparameters>,
    procedure: { ...procedure, ...own },
  };
}

/**
 * Holds the set that a model was taught against the one that it is to know. Images of the user's own are what the user
 * says.
 *
 * @throws UserError naming both where they differ
 */
function checkTaught(
  path: string,
  { data: { name } }: Statement,
  { inDomain: { set } }: Pick<OpenSets, "inDomain">,
): void {
  const taught = setOfImages(name);
  if (taught?.name === set.name || set.own) return;
  const remedy = taught
    ? `add --in-domain ${taught.name}`
    : isOwnName(name)
    ? "name their folder or file by --in-domain"
    : "name another";
  throw new UserError(
    `Cannot use "${display(path)}" with ${set.title} in-domain: it says that it was trained on ${
      shortened(name, 40)
    }; ${remedy}`,
  );
}

/** What a file says, where neither an option nor the files before it say otherwise. */
function joined(path: string, said: Asked, config: Asked, before: Asked): Asked {
  for (const [name, value] of Object.entries(said)) {
    const contradiction = [[config[name], "the option"], [before[name], "another checkpoint"]]
      .find(([other]) => other !== undefined && other !== value);
    if (contradiction) {
      const [other, who] = contradiction;
      throw new UserError(
        `Cannot use "${
          display(path)
        }": it was trained with ${name} ${value}, ${who} says ${other}; ` +
          "leave the option out, or name a checkpoint trained so",
      );
    }
  }
  return { ...before, ...said };
}
