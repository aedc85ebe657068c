/**
 * Compiles a graph to a program: a fixed list of dispatches over a fixed set of buffers, replayed
 * with nothing allocated and nothing disposed.
 *
 * @module
 */
import { MemoryError } from "../errors.ts";
import type { Device } from "./device.ts";
import {
  type Binding as PlannedBinding,
  describe,
  type Plan,
  plan,
  type ProgramSpec,
  type Stats,
} from "./plan.ts";
import { type StepTime, timeSteps } from "./profile.ts";
import { bytesOf, parameterBuffer, readBack, type Resource, usage } from "./storage.ts";
import { type Data, show, size, type Tensor } from "./tensor.ts";

export type { ProgramSpec, Stats, Updates } from "./plan.ts";

/** A compiled graph. */
export interface Program {
  readonly name: string;
  readonly stats: Stats;
  /** Writes the inputs and runs once (or `times`: updates feed the next) in one submission. */
  run(inputs?: readonly Data[], times?: number): void;
  /** An output's values after the last run. One synchronisation: not for a hot loop. */
  read(output: Tensor): Promise<Float32Array>;
  /** What its records hold; `drainAll` reads several programs' at once. */
  readonly recorders: readonly Recorder[];
  /** Every recorded value since the last drain, one array a record, runs one after another. */
  drain(): Promise<Float32Array[]>;
  /** What each dispatch takes on the device, medians over the repetitions. */
  time(repetitions?: number): Promise<StepTime[]>;
  /** The dispatches in order, a line each. */
  toString(): string;
  [Symbol.dispose](): void;
}

/** One thing that a program encodes. */
export type Command =
  | { readonly kind: "copy"; readonly from: Resource; readonly to: Resource }
  | {
    readonly kind: "dispatch";
    readonly pipeline: GPUComputePipeline;
    readonly group: GPUBindGroup;
    readonly x: number;
    readonly y: number;
  };

/**
 * Compiles a graph.
 *
 * @throws MemoryError when a tensor is larger than one binding may be, or memory runs out
 */
export async function compile(device: Device, spec: ProgramSpec): Promise<Program> {
  const name = spec.name ?? "program";
  const planned = plan(spec);
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  for (const { bytes, label } of planned.buffers) {
    if (bytes > limit) {
      const mib = (n: number): string => `${(n / 2 ** 20).toFixed(0)} MiB`;
      throw new MemoryError(
        `Cannot compile "${name}": "${label}" needs ${mib(bytes)} in one binding, this adapter ` +
          `allows ${mib(limit)}; use a smaller --batch-size`,
      );
    }
  }
  const pipelines = await Promise.all(
    planned.steps.map((s) =>
      s.kind === "dispatch" ? device.pipeline(s.dispatch.kernel, s.dispatch.overrides) : undefined
    ),
  );
  let made: CompiledProgram | undefined;
  try {
    return await device.guard(
      `allocate ${(planned.stats.bytes / 2 ** 20).toFixed(1)} MiB for "${name}"`,
      () => made = new CompiledProgram(device, name, spec, planned, pipelines),
    );
  } catch (error) {
    // What was allocated before memory ran out is given back.
    made?.[Symbol.dispose]();
    throw error;
  }
}

class CompiledProgram implements Program {
  readonly #buffers: GPUBuffer[] = [];
  readonly #commands: Command[];
  readonly #updates: Command[];
  readonly recorders: readonly Recorder[];
  readonly #resource: (t: Tensor) => Resource;

  constructor(
    readonly device: Device,
    readonly name: string,
    readonly spec: ProgramSpec,
    readonly plan: Plan,
    pipelines:
      readonly ({ pipeline: GPUComputePipeline; layout: GPUBindGroupLayout } | undefined)[],
  ) {
    const { gpu } = device;
    const buffers = plan.buffers.map(({ bytes, label, source }) => {
      if (source.kind === "parameter") return parameterBuffer(device, source.parameter);
      const buffer = gpu.createBuffer({ label, size: bytes, usage });
      this.#buffers.push(buffer);
      if (source.kind === "constant") gpu.queue.writeBuffer(buffer, 0, bytesOf(source.data));
      return buffer;
    });
    const resolve = ({ buffer, offset, size }: PlannedBinding): Resource => ({
      buffer: at(buffers, buffer),
      offset,
      size,
    });
    this.#resource = (t) => resolve(plan.binding(t));
    this.#commands = plan.steps.map((step, i): Command => {
      if (step.kind === "copy") {
        return { kind: "copy", from: resolve(step.from), to: resolve(step.to) };
      }
      const compiled = pipelines[i];
      if (!compiled) throw new Error("Unreachable: a dispatch without a pipeline");
      const group = gpu.createBindGroup({
        layout: compiled.layout,
        entries: step.bindings.map((b, binding) => ({ binding, resource: resolve(b) })),
      });
      const groups = Math.ceil(step.dispatch.threads / step.dispatch.kernel.workgroup);
      const x = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
      return {
        kind: "dispatch",
        pipeline: compiled.pipeline,
        group,
        x,
        y: Math.ceil(groups / x),
      };
    });
    this.#updates = plan.updates.map((u) => ({
      kind: "copy",
      from: resolve(u.from),
      to: resolve(u.to),
    }));
    this.recorders = (spec.records ?? []).map((t) => new Recorder(device, this.#resource(t), t));
  }

  get stats(): Stats {
    return this.plan.stats;
  }

  run(inputs: readonly Data[] = [], times = 1): void {
    const { gpu } = this.device;
    this.device.check();
    const expected = this.spec.inputs ?? [];
    if (inputs.length !== expected.length) {
      throw new Error(`Cannot run "${this.name}": ${expected.length} inputs, got ${inputs.length}`);
    }
    expected.forEach((t, i) => {
      const data = inputs[i];
      if (data?.length !== size(t.shape)) {
        throw new Error(
          `Cannot run "${this.name}": input ${i} is ${show(t.shape)}, got ${data?.length} values`,
        );
      }
      const dtype = data instanceof Uint32Array ? "u32" : "f32";
      if (t.source.kind === "input" && t.source.dtype !== dtype) {
        throw new Error(`Cannot run "${this.name}": input ${i} is ${t.source.dtype}, got ${dtype}`);
      }
      if (this.plan.uses(t)) {
        const { buffer, offset } = this.#resource(t);
        gpu.queue.writeBuffer(buffer, offset, bytesOf(data));
      }
    });
    for (const record of this.recorders) record.reserve(times);
    const encoder = gpu.createCommandEncoder({ label: this.name });
    const { invariant } = this.plan;
    for (let i = 0; i < times; i++) {
      encode(encoder, i === 0 ? this.#commands : this.#commands.slice(invariant));
      // Records first: an update may overwrite what a record shows.
      for (const record of this.recorders) record.append(encoder);
      encode(encoder, this.#updates);
    }
    gpu.queue.submit([encoder.finish()]);
  }

  async read(output: Tensor): Promise<Float32Array> {
    const [values] = await readBack(this.device, [{
      ...this.#resource(output),
      size: 4 * size(output.shape),
    }]);
    return values ?? new Float32Array();
  }

  async drain(): Promise<Float32Array[]> {
    const [values = []] = await drainAll(this.device, [this]);
    return values;
  }

  async time(repetitions = 5): Promise<StepTime[]> {
    return await timeSteps(this.device, this.#commands, this.plan.steps, repetitions);
  }

  toString(): string {
    return describe(this.name, this.plan);
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers) buffer.destroy();
    for (const record of this.recorders) record[Symbol.dispose]();
  }
}

function encode(encoder: GPUCommandEncoder, commands: readonly Command[]): void {
  let pass: GPUComputePassEncoder | undefined;
  for (const command of commands) {
    if (command.kind === "dispatch") {
      pass ??= encoder.beginComputePass();
      pass.setPipeline(command.pipeline);
      pass.setBindGroup(0, command.group);
      pass.dispatchWorkgroups(command.x, command.y);
    } else {
      pass?.end();
      pass = undefined;
      const { from, to } = command;
      encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
    }
  }
  pass?.end();
}

/** As `drain` of each program, in one synchronisation for all. */
export async function drainAll(
  device: Device,
  programs: readonly Program[],
): Promise<Float32Array[][]> {
  const recorders = programs.flatMap((p) => p.recorders);
  const values = await readBack(device, recorders.map((r) => r.take()));
  const byRecorder = new Map(
    recorders.map((r, i) => [r, r.unpad(values[i] ?? new Float32Array())]),
  );
  return programs.map((p) => p.recorders.map((r) => byRecorder.get(r) ?? new Float32Array()));
}

/** A growing list of one tensor's values, kept on the device. */
export class Recorder {
  #buffer: GPUBuffer;
  #count = 0;
  #capacity: number;
  #closed = false;

  constructor(readonly device: Device, readonly from: Resource, readonly tensor: Tensor) {
    this.#capacity = Math.max(1, Math.floor(2 ** 16 / from.size));
    this.#buffer = this.#create();
  }

  #create(): GPUBuffer {
    const label = `record of ${this.tensor.name}`;
    return this.device.gpu.createBuffer({ label, size: this.from.size * this.#capacity, usage });
  }

  reserve(times: number): void {
    if (this.#count + times <= this.#capacity) return;
    const old = this.#buffer;
    while (this.#count + times > this.#capacity) this.#capacity *= 2;
    const limit = this.device.limits.maxBufferSize;
    if (this.from.size * this.#capacity > limit) {
      throw new Error(
        `Cannot record "${this.tensor.name}": ${this.#count} values take ${
          this.from.size * this.#count
        } bytes, a buffer may have ${limit}; drain more often`,
      );
    }
    this.#buffer = this.#create();
    const encoder = this.device.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(old, 0, this.#buffer, 0, this.from.size * this.#count);
    this.device.gpu.queue.submit([encoder.finish()]);
    old.destroy();
  }

  append(encoder: GPUCommandEncoder): void {
    const { buffer, offset, size } = this.from;
    encoder.copyBufferToBuffer(buffer, offset, this.#buffer, size * this.#count++, size);
  }

  /** What was recorded; starts afresh at once, so that a run during the read-back is kept. */
  take(): Resource {
    const taken = { buffer: this.#buffer, offset: 0, size: this.from.size * this.#count };
    this.#count = 0;
    return taken;
  }

  /** Drops the padding between records. */
  unpad(values: Float32Array): Float32Array {
    const [n, stride] = [size(this.tensor.shape), this.from.size / 4];
    if (n === stride) return values;
    const count = values.length / stride;
    const dense = new Float32Array(n * count);
    for (let i = 0; i < count; i++) {
      dense.set(values.subarray(i * stride, i * stride + n), i * n);
    }
    return dense;
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.#buffer.destroy();
    this.#closed = true;
  }
}

function at<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new Error(`Unreachable: no element ${index}`);
  return value;
}
