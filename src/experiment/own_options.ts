/**
 * What an attack on a model of the user's own is asked for, and what is refused before anything is computed.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import {
  type Attack,
  type AttackName,
  attacks,
  type Direction,
  directions,
  type InitName,
  inits,
  type NormName,
  norms,
  type Objective,
  type ObjectiveName,
  objectives,
  type Side,
  sides,
} from "../attack/mod.ts";
import { shortened, shownValue, UserError } from "../base/errors.ts";
import type { Reporter } from "../base/reporter.ts";
import type { Answering, Subject } from "../methods/mod.ts";
import type { Protocol } from "../methods/protocol.ts";
import type { Device, Tensor } from "../nn/mod.ts";
import { chosenScores, type ScoreChoice, scores } from "../scores/mod.ts";
import { evalBatch } from "./config.ts";
import type { AttackResult } from "./documents.ts";

/** The model, as one of three. */
export type OwnModel =
  | {
    /** Images `[B, C, H, W]` with pixels from 0 to 1, to logits `[B, K]`, K 2 or more; traced, not computed. */
    readonly logits: (images: Tensor) => Tensor;
  }
  | {
    /** A model that says itself how it answers, such as one of a method's. */
    readonly model: Answering;
  }
  | {
    /** Several as one. */
    readonly subject: Subject;
  };

/** An attack on a model of the user's own. */
export type OwnAttack = OwnModel & {
  /** The GPU that the model's parameters are on. */
  readonly device: Device;
  /** Labelled images that the model is for. */
  readonly inDomain: ImageSet;
  /** Images that it should not know, to be attacked. */
  readonly outDomain: ImageSet;
  /** Labelled images that the model learned from, for `scores`, and an objective that needs them: see `Objective.means`. */
  readonly training?: ImageSet;
  /**
   * Scores to tell images apart by besides, each attacked by itself (docs/scores.md): by their names, or all that the model
   * gives. They are fitted on `training`.
   */
  readonly scores?: "all" | readonly string[];
  /** What results call the model; "own model" when not given. */
  readonly name?: string;
  /** Radius of the ball in its norm, 0 to 1000; pixels are in 0 to 1. */
  readonly epsilon: number;
  /** L-infinity when not given. */
  readonly norm?: NormName;
  /** One of Mirage's attacks, or one of the user's own; pgd when not given. */
  readonly attack?: AttackName | Attack;
  /** What it lowers, by name or as one of the user's own; `-log p` of the prediction at each step when not given. */
  readonly objective?: ObjectiveName | Objective;
  /** Iterations, 1 to 10000; 10 when not given. */
  readonly steps?: number;
  /** Which images are attacked; those out-domain when not given. */
  readonly on?: Side;
  /** Whether it makes the model surer or less sure; surer out-domain and less sure in-domain when not given. */
  readonly direction?: Direction;
  /** Whether an image that would change its predicted class counts as not attacked; not when not given. */
  readonly keepLabel?: boolean;
  /** Where it starts; as the protocol does when not given. */
  readonly init?: InitName;
  /** Further runs from random points of the ball, 0 to 100; none when not given. */
  readonly restarts?: number;
  /** Draws of a step's loss, 1 to 1000, for a model that samples; 1 when not given. */
  readonly eot?: number;
  /** Whether the checks that cost as much as the attack itself are made, too; not when not given. */
  readonly thorough?: boolean;
  /** Class to steer to, from 0 on; the model's own prediction when not given. */
  readonly target?: number;
  /** The published procedure with its faults, or without them; "paper" when not given. */
  readonly protocol?: Protocol;
  /** Seed of every random number; 0 when not given. */
  readonly seed?: number;
  /** Images in a step, 1 to 65536; 200 when not given. */
  readonly batchSize?: number;
  /** Folder that the run goes to; "trained_models" when not given. */
  readonly savePath?: string;
  /** Whether every attacked image is kept with the run; not when not given. */
  readonly saveImages?: boolean;
  /** Whether convolutions are never computed by Winograd's tiles, where the device would; false when not given. */
  readonly exactConvolutions?: boolean;
  /** Takes notes and progress; silent when not given. */
  readonly reporter?: Reporter;
};

/** What an attack on a model of the user's own leaves. */
export interface OwnRun {
  /** Figures before and after, as they stand in the run's folder. */
  readonly result: AttackResult;
  /** The run's folder, for reports, comparisons and {@linkcode verifyModel}. */
  readonly folder: string;
}

/** Refuses numbers out of their range, and names that a program without types may give. */
export function checkOptions(asked: OwnAttack): void {
  const { epsilon, steps = 10, batchSize = evalBatch, target, ...options } = asked;
  const known = (what: string, value: unknown, names: readonly string[]): void => {
    if (typeof value !== "string" || names.includes(value)) return;
    throw new UserError(
      `Cannot attack by the ${what} "${shortened(value)}": there is none; choose ${
        names.join(", ")
      }`,
    );
  };
  const within = (what: string, value: number, least: number, most: number): void => {
    const fits = what === "epsilon" ? Number.isFinite(value) : Number.isInteger(value);
    if (fits && value >= least && value <= most) return;
    throw new UserError(
      `Cannot attack with ${what} ${shownValue(value)}: give a ${
        what === "epsilon" ? "number" : "whole number"
      } from ${least} to ${most}`,
    );
  };
  known("norm", options.norm, Object.keys(norms));
  known("direction", options.direction, directions);
  known("side", options.on, sides);
  known("start", options.init, Object.keys(inits));
  if (
    target !== undefined &&
    (options.direction === "under" || (options.on ?? "out") !== "out")
  ) {
    throw new UserError(
      "Cannot steer to a class and make less sure, or attack in-domain: a target is what out-domain images are to be " +
        "taken for; leave out `direction` and `on`, or `target`",
    );
  }
  within("restarts", options.restarts ?? 0, 0, 100);
  within("eot", options.eot ?? 1, 1, 1000);
  known("attack", options.attack, Object.keys(attacks));
  known("objective", options.objective, Object.keys(objectives));
  known("protocol", options.protocol, ["paper", "corrected"]);
  within("epsilon", epsilon, 0, 1000);
  within("steps", steps, 1, 10_000);
  within("batchSize", batchSize, 1, 65_536);
  within("target", target ?? 0, 0, 65_535);
  checkScores(asked);
  const { inDomain, outDomain, training = inDomain } = options;
  for (const { name, count } of [inDomain, outDomain, training]) {
    if (count > 0) continue;
    throw new UserError(
      `Cannot attack with ${shortened(name)}: it has no images; give a set with at least one`,
    );
  }
}

/** The scores that are asked for; undefined where none are. */
export function askedScores({ scores: asked }: Pick<OwnAttack, "scores">): ScoreChoice | undefined {
  if (asked === undefined) return undefined;
  const chosen = chosenScores(String(asked));
  if (chosen) return chosen;
  throw new UserError(
    `Cannot score by ${shortened(String(asked))}: give "all", or a list of ${
      Object.keys(scores).join(", ")
    }, each once`,
  );
}

/** Refuses scores that there are not, that nothing is there to fit on, or of several images at once. */
function checkScores(options: OwnAttack): void {
  if (!askedScores(options)) return;
  const { training } = options;
  if (!training) {
    throw new UserError(
      "Cannot fit scores without images that the model learned from: give them, with labels, as `training`",
    );
  }
  if (!("subject" in options) || options.subject.attacked.length === 1) return;
  throw new UserError(
    `Cannot score a subject of ${options.subject.attacked.length} parts with an image each: a score is of one ` +
      "image; give a subject of one part, which may be of several members",
  );
}
