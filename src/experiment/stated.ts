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
import { type OpenSets, setOfImages } from "../../data/mod.ts";
import { type Hyperparameters, type Method, methods } from "../methods/mod.ts";
import type { Procedure } from "../methods/protocol.ts";

/** What the checkpoints settle. */
export interface Stated {
  readonly hyperparameters: Partial<Hyperparameters>;
  /** How the trainings were done, where the protocols differ. */
  readonly procedure: Procedure;
}

/** What may be said otherwise by an option. */
type Asked = Readonly<Record<string, unknown>>;

/**
 * What all checkpoints agree on and the options do not contradict.
 *
 * @param paths of the checkpoints that were named, one a member
 * @param statements of them, undefined where one says nothing
 * @throws UserError naming what is said by one and otherwise by another, or by an option
 */
export function agreed(
  { config, procedure, method, sets }: {
    readonly config: RunConfig;
    readonly procedure: Procedure;
    readonly method: Method;
    readonly sets: Pick<OpenSets, "inDomain">;
  },
  paths: readonly string[],
  statements: readonly (Statement | undefined)[],
): Stated {
  let hyperparameters: Asked = {};
  let own: Asked = {};
  for (const [i, statement] of statements.entries()) {
    if (!statement) continue;
    const path = paths[i] ?? "";
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
    hyperparameters = joined(path, statement.hyperparameters, { ...config }, hyperparameters);
    own = joined(path, statement.procedure, { ...config }, own);
  }
  return {
    hyperparameters: hyperparameters as Partial<Hyperparameters>,
    procedure: { ...procedure, ...own },
  };
}

/**
 * Holds the set that a model was taught against the one that it is to know.
 *
 * @throws UserError naming both where they differ
 */
function checkTaught(
  path: string,
  { data: { name } }: Statement,
  { inDomain: { set } }: Pick<OpenSets, "inDomain">,
): void {
  const taught = setOfImages(name);
  if (taught?.name === set.name) return;
  throw new UserError(
    `Cannot use "${display(path)}" with ${set.title} in-domain: it says that it was trained on ${
      shortened(name, 40)
    }; ${taught ? `add --in-domain ${taught.name}` : "name another"}`,
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
