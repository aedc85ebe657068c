/**
 * Compiles a graph to a program: a fixed list of dispatches over a fixed set of buffers, replayed
 * with nothing allocated and nothing disposed.
 *
 * @module
 */
import { MemoryError } from "../../base/errors.ts";
import type { Device } from "./device.ts";
import {
  type Binding as PlannedBinding,
  describe,
  type Plan,
  plan,
  type ProgramSpec,
  type Stats,
} from "../compile/plan.ts";
import { type Command, type StepTime, timeSteps } from "./profile.ts";
import { bytesOf, parameterBuffer, readBack, type Resource, usage } from "./storage.ts";
import { type Data, show, size, type Tensor } from "../graph/tensor.ts";

export type { ProgramSpec, Stats, Updates } from "../compile/plan.ts";

/** A compiled graph. */
export interface Program {
  /** Label in messages: that of its spec, or `program`. */
  readonly name: string;
  /** Dispatches, bytes and operations of one run. */
  readonly stats: Stats;
  /** Writes the inputs and runs once (or `times`: updates feed the next) in one submission. */
  run(inputs?: readonly Data[], times?: number): void;
  /** An output's values after the last run, of every copy. One synchronisation: not for a hot loop. */
  read(output: Tensor): Promise<Float32Array>;
  /** What its records hold; `drainAll` reads several programs' at once. */
  readonly recorders: readonly Recorder[];
  /** Every recorded value since the last drain, one array a record: run after run, copy after copy. */
  drain(): Promise<Float32Array[]>;
  /** What each dispatch takes on the device, medians over the repetitions. */
  time(repetitions?: number): Promise<StepTime[]>;
  /** The dispatches in order, a line each. */
  toString(): string;
  /** Frees its buffers and records; those of its parameters are freed by `release`. */
  [Symbol.dispose](): void;
}

/**
 * Compiles a graph.
 *
 * @throws MemoryError when a tensor is larger than one binding may be, or memory runs out
 */
export async function compile(device: Device, spec: ProgramSpec): Promise<Program> {
  const name = spec.name ?? "program";
  const planned = plan({ tiles: device.tiles, ...spec });
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
  /** How many leading commands a repeated run leaves out. */
  readonly #invariant: number;
  readonly recorders: readonly Recorder[];
  readonly #resource: (t: Tensor) => CopiedResource;

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
    const { copies = 1 } = spec;
    const resolve = ({ buffer, offset, size, stride }: PlannedBinding): CopiedResource => ({
      buffer: at(buffers, buffer),
      offset,
      size,
      stride,
      copies: stride > 0 ? copies : 1,
    });
    this.#resource = (t) => resolve(plan.binding(t));
    const commands = plan.steps.map((step, i): Command[] => {
      if (step.kind === "copy") return copyCommands(resolve(step.from), resolve(step.to));
      const compiled = pipelines[i];
      if (!compiled) throw new Error("Unreachable: a dispatch without a pipeline");
      const group = gpu.createBindGroup({
        layout: compiled.layout,
        entries: step.bindings.map((b, binding) => ({ binding, resource: whole(resolve(b)) })),
      });
      const groups = Math.ceil(step.dispatch.threads / step.dispatch.kernel.workgroup);
      const x = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
      const { pipeline } = compiled;
      return [{
        kind: "dispatch",
        step,
        pipeline,
        group,
        x,
        y: Math.ceil(groups / x),
        z: step.copies,
      }];
    });
    this.#commands = commands.flat();
    this.#invariant = commands.slice(0, plan.invariant).flat().length;
    this.#updates = plan.updates.flatMap((u) => copyCommands(resolve(u.from), resolve(u.to)));
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
      const { copies } = t.source.kind === "input" ? t.source : { copies: 1 };
      if (data?.length !== copies * size(t.shape)) {
        throw new Error(
          `Cannot run "${this.name}": input ${i} is ${show(t.shape)}, got ${data?.length} values`,
        );
      }
      const dtype = data instanceof Uint32Array ? "u32" : "f32";
      if (t.source.kind === "input" && t.source.dtype !== dtype) {
        throw new Error(`Cannot run "${this.name}": input ${i} is ${t.source.dtype}, got ${dtype}`);
      }
      if (this.plan.uses(t)) {
        const { buffer, offset, stride } = this.#resource(t);
        gpu.queue.writeBuffer(buffer, offset, bytesOf(atStride(data, copies, stride / 4)));
      }
    });
    for (const record of this.recorders) record.reserve(times);
    const encoder = gpu.createCommandEncoder({ label: this.name });
    for (let i = 0; i < times; i++) {
      encode(encoder, i === 0 ? this.#commands : this.#commands.slice(this.#invariant));
      // Records first: an update may overwrite what a record shows.
      for (const record of this.recorders) record.append(encoder);
      encode(encoder, this.#updates);
    }
    gpu.queue.submit([encoder.finish()]);
  }

  async read(output: Tensor): Promise<Float32Array> {
    const from = this.#resource(output);
    const [values = new Float32Array()] = await readBack(this.device, [whole(from)]);
    return dense(values, size(output.shape), from);
  }

  async drain(): Promise<Float32Array[]> {
    const [values = []] = await drainAll(this.device, [this]);
    return values;
  }

  async time(repetitions = 5): Promise<StepTime[]> {
    return await timeSteps(this.device, this.#commands, repetitions);
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
      pass.dispatchWorkgroups(command.x, command.y, command.z);
    } else {
      pass?.end();
      pass = undefined;
      const { from, to } = command;
      encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
    }
  }
  pass?.end();
}

/** A piece of a buffer of which there are several copies. */
export interface CopiedResource extends Resource {
  /** Bytes from one copy to the next; 0 where there is one for all. */
  readonly stride: number;
  /** How many there are, 1 or more. */
  readonly copies: number;
}

/** From the first copy's start to the last one's end. */
function whole({ buffer, offset, size, stride, copies }: CopiedResource): Resource {
  return { buffer, offset, size: stride * (copies - 1) + size };
}

/** Copies of every copy; one where they lie side by side. */
function copyCommands(from: CopiedResource, to: CopiedResource): Command[] {
  const { size, copies } = to;
  if (copies > 1 && from.stride === size && to.stride === size) {
    const all = { size: size * copies };
    return [{ kind: "copy", from: { ...from, ...all }, to: { ...to, ...all } }];
  }
  const piece = ({ buffer, offset, stride }: CopiedResource, i: number): Resource => ({
    buffer,
    offset: offset + i * stride,
    size,
  });
  return Array.from({ length: copies }, (_, i) => ({
    kind: "copy",
    from: piece(from, i),
    to: piece(to, i),
  }));
}

/** Values of copies, one after the other, to where each belongs. */
function atStride(data: Data, copies: number, stride: number): Data {
  const n = data.length / copies;
  if (copies === 1 || stride === 0 || stride === n) return data;
  const apart = data instanceof Uint32Array
    ? new Uint32Array(copies * stride)
    : new Float32Array(copies * stride);
  for (let i = 0; i < copies; i++) apart.set(data.subarray(i * n, (i + 1) * n), i * stride);
  return apart;
}

/** The first n values of every copy. */
function dense(
  values: Float32Array,
  n: number,
  { stride, copies }: Pick<CopiedResource, "stride" | "copies">,
): Float32Array {
  if (copies === 1) return values.subarray(0, n);
  const found = new Float32Array(copies * n);
  for (let i = 0; i < copies; i++) {
    found.set(values.subarray(i * stride / 4, i * stride / 4 + n), i * n);
  }
  return found;
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

  /** All copies of one value, as one piece. */
  readonly from: Resource;

  /**
   * An empty list with room for 64 KiB, or for one value where that is larger.
   *
   * @param of where the value lies after a run
   * @param tensor whose value it is, padding not counted
   */
  constructor(readonly device: Device, readonly of: CopiedResource, readonly tensor: Tensor) {
    this.from = whole(of);
    this.#capacity = Math.max(1, Math.floor(2 ** 16 / this.from.size));
    this.#buffer = this.#create();
  }

  #create(): GPUBuffer {
    const label = `record of ${this.tensor.name}`;
    return this.device.gpu.createBuffer({ label, size: this.from.size * this.#capacity, usage });
  }

  /**
   * Makes room for as many values more: the buffer doubles until they fit, and keeps what it holds.
   *
   * @throws Error when it would exceed the device's `maxBufferSize`
   */
  reserve(times: number): void {
    if (this.#count + times <= this.#capacity) return;
    const old = this.#buffer;
    let capacity = this.#capacity;
    while (this.#count + times > capacity) capacity *= 2;
    const limit = this.device.limits.maxBufferSize;
    if (this.from.size * capacity > limit) {
      throw new Error(
        `Cannot record "${this.tensor.name}": ${this.#count} values take ${
          this.from.size * this.#count
        } bytes, a buffer may have ${limit}; drain more often`,
      );
    }
    this.#capacity = capacity;
    this.#buffer = this.#create();
    const encoder = this.device.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(old, 0, this.#buffer, 0, this.from.size * this.#count);
    this.device.gpu.queue.submit([encoder.finish()]);
    old.destroy();
  }

  /** Encodes the copy of the value as it is then; room for it must have been made. */
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

  /** Drops the padding between records, and between their copies. */
  unpad(values: Float32Array): Float32Array {
    const [n, stride] = [size(this.tensor.shape), this.from.size / 4];
    if (n === stride) return values;
    const count = values.length / stride;
    const all = new Float32Array(n * this.of.copies * count);
    for (let i = 0; i < count; i++) {
      const one = values.subarray(i * stride, (i + 1) * stride);
      all.set(dense(one, n, this.of), i * n * this.of.copies);
    }
    return all;
  }

  /** Frees the buffer; a second call does nothing. */
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
