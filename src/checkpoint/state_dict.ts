/**
 * Which of the things in a file is the model, and what its arrays are called there: trainers put the arrays under
 * names of their own, and wrappers of a module add to every name.
 *
 * @module
 */
import { PickleError } from "../base/pickle.ts";
import { quote } from "../base/refusal.ts";
import type { NamedArray } from "./safetensors.ts";

/** Arrays by name, in the file's order. */
export type StateDict = ReadonlyMap<string, NamedArray>;

/** What trainers put a model's arrays under; any other name will do where it is the only one. */
const wrappers = ["state_dict", "model_state_dict", "model"];
/** Dictionaries that are looked into: of `{"model": {"state_dict": ..}}` they are two. */
const mostLooked = 8;

/**
 * The arrays of the one model that a pickle's value holds: at its top, or under a name.
 *
 * @param isArray whether a value is one of the arrays
 * @throws PickleError when it holds none, or two and nothing says which is meant
 */
export function stateDictIn(
  top: unknown,
  isArray: (value: unknown) => value is NamedArray,
): StateDict {
  const found = search(top, isArray, new Set());
  if (!found) throw new PickleError("it holds no state_dict");
  return found;
}

function search(
  value: unknown,
  isArray: (value: unknown) => value is NamedArray,
  seen: Set<unknown>,
): StateDict | undefined {
  // A dictionary may hold itself.
  if (!(value instanceof Map) || seen.has(value) || seen.size === mostLooked) return undefined;
  seen.add(value);
  const within = new Map<StateDict, string>();
  // One object under two names is read once.
  for (const [inner, name] of new Map([...value].map(([name, inner]) => [inner, name]))) {
    const arrays = inner instanceof Map ? arraysOf(inner, isArray) : new Map();
    const whole = inner instanceof Map && arrays.size === inner.size && isModel(arrays);
    const usual = wrappers.includes(name) && arrays.size > 0;
    if (typeof name === "string" && (whole || usual)) within.set(arrays, name);
  }
  const own = arraysOf(value, isArray);
  const chosen = choose(within);
  if (chosen && (wrappers.includes(chosen.name) || chosen.arrays.size > own.size)) {
    return chosen.arrays;
  }
  for (const name of wrappers) {
    const deeper = search(value.get(name), isArray, seen);
    if (deeper) return deeper;
  }
  return own.size > 0 ? own : undefined;
}

function arraysOf(
  map: ReadonlyMap<unknown, unknown>,
  isArray: (value: unknown) => value is NamedArray,
): Map<string, NamedArray> {
  const arrays = new Map<string, NamedArray>();
  for (const [name, value] of map) {
    if (typeof name === "string" && isArray(value)) arrays.set(name, value);
  }
  return arrays;
}

/** Whether arrays may be a model's: figures that a trainer keeps beside it have no axes. */
function isModel(arrays: StateDict): boolean {
  return [...arrays.values()].some(({ shape, integer }) => shape.length > 0 && !integer);
}

/** The one of several that is meant: of a usual name, if no other holds the same names, or the only one. */
function choose(
  within: ReadonlyMap<StateDict, string>,
): { name: string; arrays: StateDict } | undefined {
  const all = Array.from(within, ([arrays, name]) => ({ name, arrays }));
  const usual = wrappers.map((wrapper) => all.find(({ name }) => name === wrapper));
  const chosen = usual.find((of) => of !== undefined) ?? all[0];
  if (!chosen) return undefined;
  const names = new Set(plainNames(chosen.arrays).named.keys());
  const rival = all.find(({ arrays }) =>
    arrays !== chosen.arrays &&
    (!wrappers.includes(chosen.name) ||
      [...plainNames(arrays).named.keys()].some((name) => names.has(name)))
  );
  if (!rival) return chosen;
  throw new PickleError(
    `it holds two models, under ${quote(chosen.name)} and ${quote(rival.name)}`,
    "save the one that is meant alone, by torch.save",
  );
}

/** Parts of a name that data-parallel training and compilation add, and that no network here has. */
const transparent = new Set(["module", "_orig_mod"]);
/** How many parts all names may begin with. */
const mostParts = 8;
/** Characters of a name that is taken apart; no module's is near it. */
const mostCharacters = 500;
/** Counters of averaged weights, which stand before whatever else all names begin with. */
const counters = new Set(["n_averaged"]);

/** Arrays by the names that the model itself gives them. */
export interface PlainNames {
  readonly named: StateDict;
  /** What stood before every name and was taken off, such as `module.`; empty where nothing did. */
  readonly prefix: string;
  /** What else was taken off, within names or before some of them, such as `_orig_mod.`. */
  readonly within: readonly string[];
}

/**
 * Arrays without what stands before all of their names, and without what wrappers add to some, where no two names
 * become one by that.
 */
export function plainNames(tensors: StateDict): PlainNames {
  if ([...tensors.keys()].some((name) => name.length > mostCharacters)) {
    return { named: tensors, prefix: "", within: [] };
  }
  const split = Array.from(tensors.keys(), (name) => name.split("."));
  const wrapped = split.filter(([first = ""]) => !counters.has(first));
  const [example = []] = wrapped;
  const shared = (part: number): boolean =>
    part < mostParts &&
    wrapped.every((parts) => parts.length > part + 1 && parts[part] === example[part]);
  let common = 0;
  while (shared(common)) common++;
  const rest = split.map((parts) => counters.has(parts[0] ?? "") ? parts : parts.slice(common));
  const bare = rest.map((parts) => parts.filter((part) => !transparent.has(part)));
  const apart = new Set(bare.map((parts) => parts.join("."))).size === bare.length &&
    bare.every((parts) => parts.length > 0);
  const names = (apart ? bare : rest).map((parts) => parts.join("."));
  const within = apart ? [...transparent].filter((word) => rest.flat().includes(word)) : [];
  const arrays = [...tensors.values()];
  return {
    named: new Map(arrays.map((array, i) => [names[i] ?? "", array])),
    prefix: example.slice(0, common).map((part) => `${part}.`).join(""),
    within: within.map((word) => `${word}.`),
  };
}

/** Words of which one network's code uses one and another's the other, for the same part of a name. */
export type Synonyms = readonly (readonly [word: string, other: string])[];

/**
 * Arrays by the names of a model's state, where the file's differ from them by words for the same thing.
 *
 * @param state what the model has, by name
 * @returns the arrays, and the words that were read as others
 */
export function readAs<A>(
  tensors: ReadonlyMap<string, A>,
  state: ReadonlyMap<string, unknown>,
  synonyms: Synonyms,
): { named: ReadonlyMap<string, A>; words: Synonyms } {
  const named = new Map<string, A>();
  const words = new Set<Synonyms[number]>();
  const both = synonyms.flatMap(([a, b]) => [[a, b], [b, a]] as const);
  for (const [name, array] of tensors) {
    const parts = state.has(name) || name.length > mostCharacters ? [] : name.split(".");
    const pair = both.find(([word]) => parts.includes(word));
    const other = pair && parts.map((part) => part === pair[0] ? pair[1] : part).join(".");
    const taken = other !== undefined && !tensors.has(other) && state.has(other);
    if (pair && taken) words.add(pair);
    named.set(taken ? other : name, array);
  }
  return { named, words: [...words] };
}
