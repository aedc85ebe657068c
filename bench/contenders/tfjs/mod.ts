/**
 * TensorFlow.js on its WebGPU backend, written as its users write it: variables, `tf.grads`, `tf.tidy`.
 *
 * @module
 */
import "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-layers"; // brings the derivatives of the ops
import type { Contender, Runner, Workload, WorkloadName } from "../../workload.ts";
import { leNet, resNet18 } from "./networks.ts";
import { attack, train } from "./steps.ts";

/**
 * None of DUQ: its second derivatives throw through max-pool, and are silently wrong through exp. None
 * of SNGP, whose first derivatives it has: jax-js stands for WebGPU there. None of ResNet-18 in batches of 32,
 * two steps of which were not done within five minutes on two busy cores.
 */
const versions: Partial<Record<WorkloadName, (workload: Workload) => Runner>> = {
  train: (workload) => train(leNet, workload),
  attack: (workload) => attack(leNet, workload),
  ensemble: (workload) => train(leNet, workload),
  resnet: (workload) => attack(resNet18, workload),
  resnet8: (workload) => train(resNet18, workload),
};

/** Sets the backend up. */
export async function tfjs(): Promise<Contender> {
  if (!await tf.setBackend("webgpu")) throw new Error("TensorFlow.js found no WebGPU");
  await tf.ready();
  return {
    name: "TensorFlow.js",
    version: tf.version_core,
    where: "WebGPU",
    prepare: (workload) => Promise.resolve(versions[workload.name]?.(workload)),
  };
}
