/**
 * Attacks and objectives out of modules of the user's own: what they must have, and whatever they do wrong later
 * as a sentence against their file.
 *
 * @module
 */
import { shortened, shownValue } from "../base/errors.ts";
import { loadModule, type ModulePath, type UserModule } from "../base/module.ts";
import { Parameter, type Tensor, type Updates } from "../nn/mod.ts";
import { apgd } from "./apgd.ts";
import { fgsm } from "./fgsm.ts";
import { norms } from "./norms.ts";
import { type Need, type Objective, objectives } from "./objectives.ts";
import { pgd } from "./pgd.ts";
import { square } from "./square.ts";
import type { Attack, AttackSettings, Iterate } from "./types.ts";

/** A part of a run out of a module. */
export interface Own<T> {
  /** The part; what goes wrong in it is a UserError. */
  readonly made: T;
  /** SHA-256 of the module's text. */
  readonly sha256: string;
}

/**
 * The attack that a module exports.
 *
 * @throws UserError when it cannot be loaded, or is no attack
 */
export async function loadAttack(path: ModulePath): Promise<Own<Attack>> {
  const module = await loadModule("attack", path);
  const made = membersOf<Attack>(module, {
    ...named([fgsm, pgd, apgd, square].map(({ name }) => name).concat("published")),
    settings: [isFunction, "a function"],
    prepare: [isFunction, "a function"],
    objective: [optional((of) => isKey(of, objectives)), `one of ${words(objectives)}`],
    adaptive: [optional((of) => of === true), "true"],
    gradientFree: [optional((of) => of === true), "true"],
  });
  const { name, objective, adaptive, gradientFree } = made;
  const attack: Attack = {
    name,
    ...objective && { objective },
    ...adaptive && { adaptive },
    ...gradientFree && { gradientFree },
    settings(epsilon, options): AttackSettings {
      const settings = module.guarded("settings()", () => made.settings(epsilon, options));
      checkSettings(module, settings, epsilon);
      return { ...settings, name };
    },
    prepare(problem, settings): Iterate {
      const state = module.guarded("prepare()", () => made.prepare(problem, settings));
      return guardedState(module, state, problem.shape);
    },
  };
  return { made: attack, sha256: module.sha256 };
}

/**
 * The objective that a module exports.
 *
 * @throws UserError when it cannot be loaded, or is no objective
 */
export async function loadObjective(path: ModulePath): Promise<Own<Objective>> {
  const module = await loadModule("objective", path);
  const made = membersOf<Objective>(module, {
    ...named(Object.keys(objectives)),
    about: [(of) => typeof of === "string", "a text"],
    loss: [isFunction, "a function"],
    keep: [optional(isFunction), "a function"],
    under: [optional(isFunction), "a function"],
    runs: [optional(isFunction), "a function"],
    needs: [optional(areOf(needs)), `a list of ${needs.join(", ")}`],
    means: [optional((of) => of === true), "true"],
    classes: [optional(isCount), "a whole number from 1 on"],
    targets: [optional((of) => of === true), "true"],
  });
  const { name, about, needs: asked, means, classes, targets } = made;
  const perImage = (of: string, images: Tensor, work: () => Tensor): Tensor => {
    const values = module.guarded(of, work);
    checkTensor(module, of, values, images.shape.slice(0, 1));
    return values;
  };
  const objective: Objective = {
    name,
    about,
    ...asked && { needs: asked },
    ...means && { means },
    ...classes !== undefined && { classes },
    ...targets && { targets },
    ...made.keep && {
      keep: (model, clean, options) =>
        perImage("keep()", clean, () => made.keep?.(model, clean, options) ?? clean),
    },
    loss: (model, images, ...rest) =>
      perImage("loss()", images, () => made.loss(model, images, ...rest)),
    ...made.under && {
      under: (model, images, ...rest) =>
        perImage("under()", images, () => made.under?.(model, images, ...rest) ?? images),
    },
    ...made.runs && {
      runs(classes): number {
        const runs = module.guarded("runs()", () => made.runs?.(classes));
        if (isCount(runs)) return runs;
        throw wrong(module, "runs()", "gives", runs, "a whole number from 1 on");
      },
    },
  };
  return { made: objective, sha256: module.sha256 };
}

type Test = (value: unknown) => boolean;

/** What a member must be, and the same in words. */
type Rule = readonly [fits: Test, kind: string];

const isFunction: Test = (value) => typeof value === "function";
const isNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value);
const isCount = (value: unknown): value is number =>
  isNumber(value) && Number.isInteger(value) && value >= 1;
const isKey = (value: unknown, of: object): boolean =>
  typeof value === "string" && Object.keys(of).includes(value);
const optional = (fits: Test): Test => (value) => value === undefined || fits(value);
const areOf = (known: readonly string[]): Test => (value) =>
  Array.isArray(value) && value.every((one) => known.includes(one));
const needs: readonly Need[] = ["logits", "features", "native"];
const words = (of: object): string => Object.keys(of).join(", ");

/** The rule of a name, which none of Mirage's own may have. */
function named(taken: readonly string[]): { readonly name: Rule } {
  const fits: Test = (name) =>
    typeof name === "string" && /^\w[\w .-]{0,39}$/.test(name) && !taken.includes(name);
  return {
    name: [
      fits,
      `a text of 1 to 40 letters, digits, spaces, dots or dashes that is none of Mirage's own, ${
        taken.join(", ")
      }`,
    ],
  };
}

/** The default export of a module, whose members are what they must be. */
function membersOf<T>(module: UserModule, rules: Readonly<Record<string, Rule>>): T {
  const { made } = module;
  if (typeof made !== "object" || made === null) {
    throw module.cannot(
      `its default export is ${kindOf(made)}`,
      `export an object with ${words(rules)}`,
    );
  }
  checkMembers(module, "", made, rules);
  return made as T;
}

/** Refuses the first member that is not what it must be: of the export, or of what a function of it gives. */
function checkMembers(
  module: UserModule,
  giver: string,
  of: object,
  rules: Readonly<Record<string, Rule>>,
): void {
  const members = new Map<string, unknown>(
    Object.keys(rules).map((name) => [name, Reflect.get(of, name)]),
  );
  for (const [name, [fits, kind]] of Object.entries(rules)) {
    const value = members.get(name);
    if (fits(value)) continue;
    const state = value === undefined ? "is missing" : `is ${kindOf(value)}`;
    const member = giver ? `the "${name}" of what its ${giver} gives` : `its "${name}"`;
    throw module.cannot(`${member} ${state}`, `make it ${kind}`);
  }
}

/** A value as it may stand in a sentence. */
function kindOf(value: unknown): string {
  if (typeof value === "function") return "a function";
  return typeof value === "string" ? `"${shortened(value, 60)}"` : shownValue(value);
}

function wrong(
  module: UserModule,
  name: string,
  verb: string,
  value: unknown,
  kind: string,
): Error {
  return module.cannot(`its ${name} ${verb} ${kindOf(value)}`, `let it give ${kind}`);
}

/** Refuses settings that no attack has, or that are of another ball than was asked for. */
function checkSettings(module: UserModule, settings: unknown, epsilon: number): void {
  if (typeof settings !== "object" || settings === null) {
    throw wrong(module, "settings()", "gives", settings, "an object of AttackSettings");
  }
  const isYesOrNo: Test = (value) => typeof value === "boolean";
  const notNegative: Test = (value) => isNumber(value) && value >= 0;
  checkMembers(module, "settings()", settings, {
    norm: [(of) => isKey(of, norms), `one of ${words(norms)}`],
    epsilon: [(of) => of === epsilon, `the radius that it is given, here ${epsilon}`],
    steps: [isCount, "a whole number from 1 on"],
    stepSize: [notNegative, "a number from 0 on"],
    startNoise: [notNegative, "a number from 0 on"],
    projectStart: [isYesOrNo, "true or false"],
    keepBest: [isYesOrNo, "true or false"],
  });
}

/** An iteration whose functions are guarded, and whose members are what they must be. */
function guardedState(module: UserModule, state: Iterate, shape: readonly number[]): Iterate {
  if (typeof state !== "object" || state === null) {
    throw wrong(module, "prepare()", "gives", state, "an object of Iterate");
  }
  const ofShape = (shape: readonly number[]): Rule => [
    (of) => of instanceof Parameter && String(of.shape) === String(shape),
    `a Parameter of shape [${shape.join(", ")}]`,
  ];
  const image = ofShape(shape);
  const [lengthsFit, lengths] = ofShape(shape.slice(0, 1));
  checkMembers(module, "prepare()", state, {
    clean: image,
    current: image,
    result: image,
    count: ofShape([1]),
    lengths: [optional(lengthsFit), lengths],
    start: [isFunction, "a function"],
    step: [isFunction, "a function"],
    repeats: [isCount, "a whole number from 1 on"],
    parameters: [
      (of) => Array.isArray(of) && of.every((one) => one instanceof Parameter),
      "a list of Parameters",
    ],
  });
  const { clean, current, result, count, repeats, parameters } = state;
  return {
    ...{ clean, current, result, count, repeats, parameters },
    ...state.lengths && { lengths: state.lengths },
    start(...given): Updates {
      const updates = module.guarded("start()", () => state.start(...given));
      checkUpdates(module, "start()", updates);
      return updates;
    },
    step(): ReturnType<Iterate["step"]> {
      const made = module.guarded("step()", () => state.step());
      checkUpdates(module, "step()", made?.updates);
      if (made.gradient) checkTensor(module, "step()", made.gradient, shape);
      if (made.losses) checkTensor(module, "step()", made.losses, shape.slice(0, 1));
      return made;
    },
  };
}

/** Refuses updates that are none, or of other shapes than their parameters. */
function checkUpdates(module: UserModule, name: string, updates: unknown): void {
  if (!(updates instanceof Map)) {
    throw wrong(module, name, "gives as updates", updates, "a Map from Parameters to tensors");
  }
  for (const [parameter, value] of updates) {
    if (!(parameter instanceof Parameter)) {
      throw wrong(module, name, "updates", parameter, "a Map from Parameters to tensors");
    }
    checkTensor(module, name, value, parameter.shape);
  }
}

/** Refuses what is no tensor of a shape, or was made by the functions of another Mirage. */
function checkTensor(
  module: UserModule,
  name: string,
  value: unknown,
  shape: readonly number[],
): void {
  const wanted = `a tensor of shape [${shape.join(", ")}]`;
  if (!isTensor(value)) throw wrong(module, name, "gives", value, wanted);
  if (String(value.shape) !== String(shape)) {
    throw module.cannot(
      `its ${name} gives a tensor of shape [${value.shape.join(", ")}]`,
      `let it give ${wanted}`,
    );
  }
  if (!isOurs(value)) {
    throw module.cannot(
      `its ${name} gives a tensor of another Mirage`,
      'import the functions that make it from "mirage"',
    );
  }
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "shape" in value && "source" in value &&
    Array.isArray(value.shape);
}

/**
 * Whether a tensor was made by this Mirage alone. Another copy numbers its nodes from 0 as well, so that some are not
 * newer than what they are made of.
 */
function isOurs(made: Tensor): boolean {
  const seen = new Set([made]);
  for (const node of seen) {
    if (node.inputs.some(({ id }) => id >= node.id)) return false;
    node.inputs.forEach((of) => seen.add(of));
  }
  return true;
}
