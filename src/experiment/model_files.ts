/**
 * Classifiers out of files, in the place of networks that are trained here.
 *
 * @module
 */
import { basename } from "node:path";
import { z } from "zod";
import { type DataPath, none, type SetName, setNames } from "../../data/mod.ts";
import type { AttackName } from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import {
  importedEnding,
  isImported,
  type Method,
  type MethodName,
  methods,
  type Network,
  networks,
} from "../methods/mod.ts";
import { type ImportedClassifier, importOnnx, type Preprocess } from "../onnx/mod.ts";
import type { CompleteOptions, RunConfig } from "./options.ts";
import { same, told } from "./told.ts";

/** Of options that a training has no use for. */
const used = { acts: ["evaluation", "attack"] } as const;

/** Their options' schemas. */
export const modelFileEntries = {
  modelFile: told(
    z.union([z.string(), z.array(z.string()).min(1)]).optional(),
    "Classifier to use, a .onnx; several are an ensemble",
    used,
  ),
  input: told(z.string().optional(), "Input of the model file that takes the images", {
    otherwise: same("the only one"),
    ...used,
  }),
  output: told(z.string().optional(), "Output or node of the model file that gives the logits", {
    otherwise: same("the only output; the logits before a softmax"),
    ...used,
  }),
  features: told(z.string().optional(), "Node of the model file that gives its features", {
    otherwise: same("what its last linear layer takes"),
    ...used,
  }),
  preprocess: told(
    z.string().optional(),
    "What is done to pixels before the model file: mean=0.13,std=0.31, or mean=0.49:0.48:0.45,std=... by channel",
    { otherwise: same("nothing"), ...used },
  ),
};

/** The files that were named, if any were. */
export function modelFilesOf(
  { modelFile }: Pick<CompleteOptions, "modelFile">,
): readonly string[] | undefined {
  return typeof modelFile === "string" ? [modelFile] : modelFile;
}

/** The radius in L-inf of an attack on models out of files where none is published with their images. */
export const radiusOfFiles = 8 / 255;

/** The checkpoints or model files that were named, if any were. */
export function checkpointsOf({ checkpoint, modelFile }: RunConfig): readonly string[] | undefined {
  if (modelFile !== undefined) return modelFilesOf({ modelFile });
  return typeof checkpoint === "string" ? [checkpoint] : checkpoint;
}

/** How many checkpoints were named, one a member; undefined where one path stands for each of them, or none does. */
export function listedMembers(config: RunConfig): number | undefined {
  const [first, ...others] = checkpointsOf(config) ?? [];
  const template = others.length === 0 && first?.includes("{seed}");
  return first === undefined || template ? undefined : 1 + others.length;
}

/**
 * How many members an ensemble was asked to have, in so many words or by as many checkpoints; undefined where
 * neither says it.
 */
export function membersOf(config: RunConfig): number | undefined {
  return config.numEnsembles ?? listedMembers(config);
}

/** The attack on whatever comes out of files, as published: 10 steps from the image itself. */
export const attackOnFiles = "pgd" satisfies AttackName;

/** The method that so many files are where nobody says another: one model, or an ensemble. */
export function modeOfFiles(files: readonly string[]): MethodName {
  return files.length > 1 ? "deep_ensemble" : "baseline";
}

/** The methods that so many files can be of: those of plain classifiers, trained anywhere. */
function modesOfFiles(files: readonly string[]): string[] {
  const usual: Method = methods[modeOfFiles(files)];
  return Object.values<Method>(methods)
    .filter(({ family, ensemble }) => family === usual.family && ensemble === usual.ensemble)
    .map(({ name }) => name);
}

/** What the models are called together: by all their names, or by the first and the last of many. */
function nameOf(names: readonly string[]): string {
  const [first = "", ...others] = names;
  const shown = names.length > 3 ? [first, `${names.length - 2} more`, others.at(-1) ?? ""] : names;
  return shown.join(" + ");
}

/** What files leave open is settled for them: the name of the network, sets, the radius, what an ensemble is attacked on. */
export interface SettledByFiles {
  readonly model: string;
  /** None where nobody says: a file does not tell what its model was taught. */
  readonly inDomain: SetName | DataPath | typeof none;
  readonly outDomain: SetName | DataPath;
  /** Of the network that was published with the set, else 8 / 255. */
  readonly epsilon: number;
  readonly ensembleAttack?: "joint" | "per-member";
}

/**
 * Settles what a run of files leaves open.
 *
 * @throws UserError for what does not go with files, or has to be said and is not
 */
export function settledByFiles(
  files: readonly string[],
  options: CompleteOptions,
): SettledByFiles {
  const { mode, model, checkpoint, ensembleAttack = "joint" } = options;
  const { inDomain = none } = options;
  const other = files.find((file) => !file.endsWith(importedEnding));
  const cannot = (state: string, remedy: string): UserError =>
    new UserError(`Cannot use "${shortened(other ?? files[0] ?? "", 120)}": ${state}; ${remedy}`);
  if (other !== undefined) throw cannot("it is no .onnx file", "export the model as ONNX");
  const known = modesOfFiles(files);
  if (!known.includes(mode)) {
    throw cannot(
      `${files.length === 1 ? "one file is" : "several files are"} a ${
        known.join(" or a ")
      }, not ${mode}`,
      `leave out --mode, or use ${known.slice(1).join(" or ")}`,
    );
  }
  if (checkpoint !== undefined) {
    throw cannot("a model file is network and checkpoint in one", "leave out --checkpoint");
  }
  if (inDomain === none && options.outDomain === undefined) {
    throw cannot(
      "it does not say which images it was trained on",
      `name a set by --in-domain (${
        setNames.join(", ")
      }), or attack without by --out-domain FOLDER`,
    );
  }
  const published = Object.values<Network>(networks).find((network) =>
    network.inDomain === inDomain
  );
  const outDomain = options.outDomain ?? published?.outDomain;
  if (outDomain === undefined) {
    throw cannot(
      `nothing is published as out of the domain of ${inDomain}`,
      `name a set by --out-domain (${setNames.filter((name) => name !== inDomain).join(", ")})`,
    );
  }
  return {
    // A run that is made again has its name from the files that it was made with first.
    model: model !== undefined && isImported(model)
      ? model
      : nameOf(files.map((file) => basename(file))),
    inDomain,
    outDomain,
    epsilon: published?.epsilon ?? radiusOfFiles,
    ...files.length > 1 && { ensembleAttack },
  };
}

/**
 * The classifiers of files.
 *
 * @throws UserError where one cannot be read or computed
 */
export async function classifiersOf(
  files: readonly string[],
  { input, output, features, preprocess }: CompleteOptions,
): Promise<ImportedClassifier[]> {
  const options = { input, output, features, preprocess: preprocessOf(preprocess) };
  const found: ImportedClassifier[] = [];
  for (const file of files) found.push(await importOnnx(file, options));
  return found;
}

/**
 * What is done to pixels, out of `mean=0.1307,std=0.3081`.
 *
 * @throws UserError for another form, numbers that are none, or a deviation of 0
 */
export function preprocessOf(text: string | undefined): Preprocess | undefined {
  if (text === undefined) return undefined;
  const parts = new Map(
    text.split(",").map((part) => {
      const [name = "", values = ""] = part.split("=");
      return [
        name.trim(),
        values.split(":").map((value) => value.trim() === "" ? NaN : Number(value)),
      ];
    }),
  );
  const { mean = [0], std = [1], ...others } = Object.fromEntries(parts);
  const numbers = [...mean, ...std];
  if (Object.keys(others).length > 0 || !numbers.every(Number.isFinite) || std.includes(0)) {
    throw new UserError(
      `Cannot preprocess by "${
        shortened(text, 80)
      }": give numbers as mean=0.1307,std=0.3081, of several ` +
        "channels as mean=0.49:0.48:0.45,std=0.25:0.24:0.26",
    );
  }
  return { mean, std };
}
