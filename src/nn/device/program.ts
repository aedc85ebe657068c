/**
 * Compiles a graph to a program: a fixed list of dispatches over a fixed set of buffers, replayed
 * with nothing allocated and nothing disposed.
 *
 * @module
 */
import { MemoryError } from "../../base/errors.ts";
import { type Device, type Pipeline, texelTexture } from "./device.ts";
import {
  type Binding as PlannedBinding,
  describe,
  type Plan,
  plan,
  type ProgramSpec,
  type Stats,
  type Step,
} from "../compile/plan.ts";
import { type Command, encodeCopy, type StepTime, timeSteps } from "./profile.ts";
import { type CopiedResource, dense, Recorder, whole } from "./recorder.ts";
import {
  bytesOf,
  noteWrites,
  parameterBuffer,
  readBack,
  type Resource,
  usage,
  writesTo,
} from "./storage.ts";
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
  readonly #textures: GPUTexture[] = [];
  readonly #commands: Command[];
  readonly #updates: Command[];
  /** How many leading commands are left out as long as no parameter that they read is written, and at which count of writes. */
  readonly #settled: number;
  #settledAt: number | undefined;
  /** How many leading commands a repeated run leaves out. */
  readonly #invariant: number;
  readonly recorders: readonly Recorder[];
  readonly #resource: (t: Tensor) => CopiedResource;

  constructor(
    readonly device: Device,
    readonly name: string,
    readonly spec: ProgramSpec,
    readonly plan: Plan,
    pipelines: readonly (Pipeline | undefined)[],
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
    const textures = plan.textures.map(({ rows, format }) => {
      const texture = texelTexture(gpu, rows, format);
      this.#textures.push(texture);
      return texture;
    });
    const commands = plan.steps.map((step, i) =>
      commandsOf(device, step, pipelines[i], { resolve, textures })
    );
    this.#commands = commands.flat();
    this.#settled = commands.slice(0, plan.settled).flat().length;
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
    const writes = writesTo(this.plan.staying);
    const first = writes === this.#settledAt ? this.#settled : 0;
    for (let i = 0; i < times; i++) {
      encode(encoder, this.#commands.slice(i === 0 ? first : this.#invariant));
      // Records first: an update may overwrite what a record shows.
      for (const record of this.recorders) record.append(encoder);
      encode(encoder, this.#updates);
    }
    gpu.queue.submit([encoder.finish()]);
    if (times > 0) this.#settledAt = writes;
    noteWrites(this.spec.updates?.keys() ?? []);
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
    for (const memory of [...this.#buffers, ...this.#textures]) memory.destroy();
    for (const record of this.recorders) record[Symbol.dispose]();
  }
}

/** Where a plan's bindings and textures are. */
interface Places {
  readonly resolve: (b: PlannedBinding) => CopiedResource;
  readonly textures: readonly GPUTexture[];
}

/** What a step of a plan encodes. */
function commandsOf(
  { gpu, limits }: Device,
  step: Step,
  compiled: Pipeline | undefined,
  { resolve, textures }: Places,
): Command[] {
  if (step.kind === "copy") return copyCommands(resolve(step.from), resolve(step.to));
  if (step.kind === "texture") {
    const { from, rows } = step;
    return [{ kind: "texture", from: resolve(from), to: at(textures, from.texture ?? -1), rows }];
  }
  if (!compiled) throw new Error("Unreachable: a dispatch without a pipeline");
  const { pipeline, layout } = compiled;
  const group = gpu.createBindGroup({
    layout,
    entries: step.bindings.map((b, binding) => ({
      binding,
      resource: b.texture === undefined ? whole(resolve(b)) : at(textures, b.texture).createView(),
    })),
  });
  const groups = Math.ceil(step.dispatch.threads / step.dispatch.kernel.workgroup);
  const x = Math.min(groups, limits.maxComputeWorkgroupsPerDimension);
  return [{ kind: "dispatch", step, pipeline, group, x, y: Math.ceil(groups / x), z: step.copies }];
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
      encodeCopy(encoder, command);
    }
  }
  pass?.end();
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

function at<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new Error(`Unreachable: no element ${index}`);
  return value;
}
