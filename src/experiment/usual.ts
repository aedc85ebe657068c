/**
 * What options are where nobody chooses: what need not be said of a run.
 *
 * @module
 */
import { z } from "zod";
import { type Attack, attacks } from "../attack/mod.ts";
import { evalBatch } from "../evaluate/predict.ts";
import { hyperparameters, isImported, type Method, methods, networkOf } from "../methods/mod.ts";
import { type ProtocolOption, protocolOptions } from "../methods/protocol.ts";
import { optionEntries, trainBatch } from "./config.ts";
import { attackOnFiles } from "./model_files.ts";

type Options = Readonly<Record<string, unknown>>;

/**
 * Whether an option of a run is as it would be if nobody had chosen it.
 *
 * @param name of the option, as documents have it
 * @param value what it is; undefined is as usual
 * @param run the run's options, which others follow: its mode, model, protocol and attack
 */
export function isUsual(name: string, value: unknown, run: Options): boolean {
  if (value === undefined || value === null) return true;
  const difference = of<ProtocolOption>(protocolOptions, name);
  if (difference) return value === difference[protocolOf(run)];
  switch (name) {
    case "model":
      return value === of<Method>(methods, run["mode"])?.models[0];
    case "steps":
      return value === of<Attack>(attacks, attackOf(run))?.settings(1).steps;
    case "objective":
      return value === (of<Attack>(attacks, attackOf(run))?.objective ?? "published");
    case "norm":
      return value === "linf";
    case "batchSize":
      return value === evalBatch;
    case "trainBatchSize":
      return value === trainBatch;
  }
  const usual = of(hyperparameters, name)?.option.default;
  if (typeof usual === "function") {
    const { model } = run;
    return typeof model === "string" && !isImported(model) && value === usual(networkOf(model));
  }
  if (usual !== undefined) return value === usual;
  const schema = of<z.ZodType>(optionEntries, name);
  return schema instanceof z.ZodDefault && value === schema.def.defaultValue;
}

function protocolOf({ protocol }: Options): "paper" | "corrected" {
  return protocol === "corrected" ? "corrected" : "paper";
}

/** The name of a run's attack: the one published on its method, or what was chosen. */
function attackOf(run: Options): unknown {
  const { mode, model, attack = protocolOptions.attack[protocolOf(run)] } = run;
  if (attack !== "published") return attack;
  const onFiles = run["modelFile"] !== undefined || typeof model === "string" && isImported(model);
  return onFiles ? attackOnFiles : of<Method>(methods, mode)?.attack ?? attackOnFiles;
}

/** The entry of this name, and none of those that every object has. */
function of<T>(entries: Readonly<Record<string, T>>, name: unknown): T | undefined {
  return typeof name === "string" && Object.hasOwn(entries, name) ? entries[name] : undefined;
}
