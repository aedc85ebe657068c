/**
 * jax-js on its WebGPU backend, written as its users write it.
 *
 * @module
 */
import { defaultDevice, init } from "@jax-js/jax";
import manifest from "../../../deno.json" with { type: "json" };
import type { Contender, Runner, Workload, WorkloadName } from "../../workload.ts";
import { attack } from "./attack.ts";
import { classifier, duq, residual, sngp } from "./methods.ts";
import { leNet, resNet18 } from "./networks.ts";
import { train, trainTogether } from "./train.ts";

const versions: Record<WorkloadName, (workload: Workload) => Runner> = {
  train: (workload) => train(classifier, workload),
  attack: (workload) => attack(leNet, workload),
  sngp: (workload) => train(sngp, workload),
  duq: (workload) => train(duq, workload),
  ensemble: (workload) => trainTogether(classifier, workload),
  resnet: (workload) => attack(resNet18, workload),
  resnet8: (workload) => train(residual, workload),
  resnet32: (workload) => train(residual, workload),
};

/** Sets the backend up. */
export async function jax(): Promise<Contender> {
  const found = await init("webgpu");
  if (!found.includes("webgpu")) throw new Error("jax-js found no WebGPU");
  defaultDevice("webgpu");
  return {
    name: "jax-js",
    version: manifest.imports["@jax-js/jax"].split("@").at(-1) ?? "",
    where: "WebGPU",
    prepare: (workload) => Promise.resolve(versions[workload.name](workload)),
  };
}
