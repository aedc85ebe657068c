/**
 * Opens the GPU and owns what lives as long as it: limits, pipelines, parameter buffers, loss of the device.
 *
 * @module
 */
import { MemoryError, UserError } from "../../base/errors.ts";
import type { Reporter } from "../../base/reporter.ts";
import {
  type Binding,
  type Kernel,
  type Overrides,
  resolveOverrides,
  type TexelFormat,
} from "../graph/kernel.ts";
import { texelRow, type TileProfile, tileProfiles } from "../graph/tiles.ts";
import { unroll, unrolledBy } from "../compile/unroll.ts";

/** Facts about the adapter, recorded with every result. */
export interface AdapterFacts {
  /** `vendor` of WebGPU's adapter: under Deno its PCI number, such as `65541` of Mesa's software drivers. */
  readonly vendor: string;
  /** `architecture` of WebGPU's adapter; empty where it is not told, as under Deno. */
  readonly architecture: string;
  /** `device` of WebGPU's adapter: under Deno its PCI number, `0` of llvmpipe. */
  readonly device: string;
  /** For people: `llvmpipe (LLVM 15.0.6, 256 bits)`. */
  readonly description: string;
  /** True where the "GPU" is a program on the CPU (lavapipe, SwiftShader, WARP). */
  readonly software: boolean;
}

/** A compiled kernel with fixed overrides. */
export interface Pipeline {
  /** WebGPU's own object. */
  readonly pipeline: GPUComputePipeline;
  /** Layout of its only group: the kernel's bindings, in order. */
  readonly layout: GPUBindGroupLayout;
}

/** An open GPU. Shared by all programs; close it with `using` or `[Symbol.dispose]()`. */
export interface Device {
  /** WebGPU's own object. */
  readonly gpu: GPUDevice;
  /** Facts about the adapter that it was opened on. */
  readonly adapter: AdapterFacts;
  /** Limits it was opened with: of buffers, bindings and workgroups the largest that the adapter offers. */
  readonly limits: GPUSupportedLimits;
  /** Whether kernels can be timed on the device. */
  readonly hasTimestamps: boolean;
  /** How programs compiled from now on cut their convolutions: at first by whether it is software. */
  tiles: TileProfile;
  /** The pipeline of a kernel with these overrides, compiled once a device. */
  pipeline(kernel: Kernel, overrides: Overrides): Promise<Pipeline>;
  /** Number of pipelines compiled so far. */
  readonly pipelines: number;
  /** Runs `work` inside an error scope and turns a GPU error into one clear sentence; not nestable. */
  guard<T>(what: string, work: () => T | Promise<T>): Promise<T>;
  /** Throws when the device was lost or reported an error since the last check. */
  check(): void;
  /** Waits until everything submitted has been done. */
  idle(): Promise<void>;
  /** Called when the device is closed: frees what is tied to it. */
  onClose(free: () => void): void;
  /** Frees what is tied to it, parameters' buffers too, and closes the GPU; programs run no more. */
  [Symbol.dispose](): void;
}

const noAdapter = "Cannot open a GPU: navigator.gpu found no adapter; install a Vulkan driver " +
  "(Debian and Ubuntu: apt-get install libvulkan1 mesa-vulkan-drivers), " +
  "or set VK_ICD_FILENAMES to the file of one, for example lavapipe's lvp_icd.x86_64.json";

/**
 * Opens the default adapter with all the limits it offers.
 *
 * @param watch told of every kernel whose compilation holds up this thread: of all, but on lavapipe, which
 *   compiles on threads of its own
 * @throws UserError when there is no adapter or it refuses a device
 */
export async function openDevice({ watch }: Pick<Reporter, "watch"> = {}): Promise<Device> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new UserError(noAdapter);
  const wanted = [
    "maxBufferSize",
    "maxStorageBufferBindingSize",
    "maxStorageBuffersPerShaderStage",
    "maxComputeWorkgroupStorageSize",
    "maxComputeInvocationsPerWorkgroup",
    "maxComputeWorkgroupSizeX",
    "maxComputeWorkgroupsPerDimension",
  ] as const;
  const requiredLimits: Record<string, number> = {};
  for (const name of wanted) requiredLimits[name] = adapter.limits[name];
  const hasTimestamps = adapter.features.has("timestamp-query");
  let gpu: GPUDevice;
  try {
    gpu = await adapter.requestDevice({
      requiredLimits,
      requiredFeatures: hasTimestamps ? ["timestamp-query"] : [],
    });
  } catch (cause) {
    throw new UserError(
      `Cannot open the GPU "${adapter.info.description}": ${message(cause)}; ` +
        "close other programs that use it, or update its driver",
      { cause },
    );
  }
  const facts = adapterFacts(adapter.info);
  return new OpenDevice(gpu, facts, hasTimestamps, isLavapipe(facts) ? undefined : watch);
}

class OpenDevice implements Device {
  readonly limits: GPUSupportedLimits;
  tiles: TileProfile;
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #frees: (() => void)[] = [];
  #nothing: Record<Binding["access"], GPUBuffer> & Record<TexelFormat, GPUTextureView> | undefined;
  #failure: string | undefined;
  #closed = false;
  #guarded: Promise<unknown> = Promise.resolve();

  constructor(
    readonly gpu: GPUDevice,
    readonly adapter: AdapterFacts,
    readonly hasTimestamps: boolean,
    readonly watch: Reporter["watch"],
  ) {
    this.limits = gpu.limits;
    this.tiles = profileOf(adapter);
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#failure ??= (event as GPUUncapturedErrorEvent).error.message;
    });
    gpu.lost.then((info) => {
      if (!this.#closed) {
        this.#failure = `the device was lost (${info.reason}: ${info.message})`;
      }
    });
  }

  get pipelines(): number {
    return this.#pipelines.size;
  }

  pipeline(kernel: Kernel, overrides: Overrides): Promise<Pipeline> {
    const series = kernel.overrides.has("SERIES") && !isLavapipe(this.adapter) ? { SERIES: 1 } : {};
    const constants = resolveOverrides(kernel, { ...series, ...overrides });
    const key = `${kernel.name} ${JSON.stringify(constants)}`;
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.#build(kernel, constants);
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  #build(kernel: Kernel, constants: Record<string, number>): Promise<Pipeline> {
    return this.guard(`compile "${kernel.name}"`, async () => {
      const text = `${kernel.name} ${JSON.stringify(unrolledBy(kernel.source, constants))}`;
      let module = this.#modules.get(text);
      if (!module) {
        const code = unroll(kernel.source, constants);
        module = this.gpu.createShaderModule({ label: kernel.name, code });
        this.#modules.set(text, module);
      }
      const layout = this.gpu.createBindGroupLayout({
        entries: kernel.bindings.map(({ access, texture }, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          ...texture
            ? { storageTexture: { access: "read-only", format: texture } as const }
            : { buffer: { type: access === "read" ? "read-only-storage" : "storage" } as const },
        })),
      });
      const done = this.watch?.(`Compiling "${kernel.name}"`);
      const pipeline = await this.gpu.createComputePipelineAsync({
        label: kernel.name,
        layout: this.gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main", constants },
      }).finally(done);
      if (this.adapter.software) this.#compileAhead(kernel, { pipeline, layout });
      return { pipeline, layout };
    });
  }

  /**
   * A software driver makes machine code at a pipeline's first dispatch, on a thread of its own: one of no
   * workgroups lets it begin while the next pipelines are made here.
   */
  #compileAhead(kernel: Kernel, { pipeline, layout }: Pipeline): void {
    const usage = GPUBufferUsage.STORAGE;
    this.#nothing ??= {
      read: this.gpu.createBuffer({ label: "nothing to read", size: 16, usage }),
      read_write: this.gpu.createBuffer({ label: "nothing to write", size: 16, usage }),
      rgba32float: texelTexture(this.gpu, 1, "rgba32float").createView(),
      r32float: texelTexture(this.gpu, 1, "r32float").createView(),
    };
    const nothing = this.#nothing;
    const encoder = this.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = kernel.bindings.map(({ access, texture }, binding) => ({
      binding,
      resource: texture ? nothing[texture] : { buffer: nothing[access] },
    }));
    pass.setBindGroup(0, this.gpu.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(0);
    pass.end();
    this.gpu.queue.submit([encoder.finish()]);
  }

  /** Error scopes are one stack a device, so guarded work runs one piece at a time. */
  guard<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    const result = this.#guarded.then(() => this.#scoped(what, work));
    this.#guarded = result.catch(() => {});
    return result;
  }

  async #scoped<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    this.check();
    this.gpu.pushErrorScope("out-of-memory");
    this.gpu.pushErrorScope("validation");
    let result: T | undefined;
    let thrown: unknown;
    try {
      result = await work();
    } catch (error) {
      thrown = error;
    }
    const validation = await this.gpu.popErrorScope();
    const memory = await this.gpu.popErrorScope();
    if (memory) {
      throw new MemoryError(
        `Cannot ${what}: the GPU is out of memory; use a smaller --batch-size or --limit`,
        { cause: memory },
      );
    }
    if (validation) throw new Error(`Cannot ${what}: ${validation.message}`);
    if (thrown) throw thrown;
    return result as T;
  }

  check(): void {
    if (this.#failure === undefined) return;
    const lost = this.#failure.startsWith("the device was lost");
    throw lost
      ? new UserError(`Cannot go on: ${this.#failure}; run the command again to resume`)
      : new Error(`Cannot go on: the GPU reported "${this.#failure}"`);
  }

  async idle(): Promise<void> {
    await this.gpu.queue.onSubmittedWorkDone();
    this.check();
  }

  onClose(free: () => void): void {
    this.#frees.push(free);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const free of this.#frees) free();
    this.gpu.destroy();
  }
}

/** Mesa's software driver, whose costs were measured and whose sine and cosine are exact to the last digits. */
function isLavapipe({ device, description }: AdapterFacts): boolean {
  return /llvmpipe|lavapipe/i.test(`${device} ${description}`);
}

/**
 * How convolutions are cut where nothing was measured: the profiles for software drivers are lavapipe's, whose
 * kernels are long.
 */
function profileOf(adapter: AdapterFacts): TileProfile {
  if (!isLavapipe(adapter)) return tileProfiles.portable;
  // Deno's typings do not have it yet.
  const gpu: Pick<GPU, "requestAdapter"> & {
    readonly wgslLanguageFeatures?: ReadonlySet<string>;
  } = navigator.gpu;
  return gpu.wgslLanguageFeatures?.has("readonly_and_readwrite_storage_textures")
    ? tileProfiles.winograd
    : tileProfiles.software;
}

/** How a device computes convolutions, whose rounding differs from one to another. */
export type Convolutions = "buffers" | "textures" | "winograd";

/**
 * How a device computes convolutions: by operands that are read from buffers, or from textures, or from textures
 * and by Winograd's tiles where filters are 3 x 3.
 */
export function convolutionsOf({ tiles }: Pick<Device, "tiles">): Convolutions {
  if (tiles.winograd > 0) return "winograd";
  return tiles.texels > 0 ? "textures" : "buffers";
}

/** Has a device make every result of a convolution as the sum of its own products, never by Winograd's tiles. */
export function useExactConvolutions(device: Device): void {
  const { winograd, cuts } = device.tiles;
  if (winograd > 0) device.tiles = { ...tileProfiles.texels, ...(cuts ? { cuts } : {}) };
}

/**
 * A texture of at least so many rows, to copy values to and to read them from. Lavapipe makes other machine code for
 * textures whose height is a power of two: there are none, so that what is compiled ahead is what runs.
 */
export function texelTexture(gpu: GPUDevice, rows: number, format: TexelFormat): GPUTexture {
  let height = Math.max(3, rows);
  if (Number.isInteger(Math.log2(height))) height++;
  return gpu.createTexture({
    size: [texelsOf(format), height],
    format,
    usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
  });
}

/** Texels in a row of a texture. */
export function texelsOf(format: TexelFormat): number {
  return format === "r32float" ? 4 * texelRow : texelRow;
}

function adapterFacts(info: GPUAdapterInfo): AdapterFacts {
  const { vendor, architecture, device, description } = info;
  const software = info.isFallbackAdapter ||
    /llvmpipe|lavapipe|swiftshader|basic render/i.test(`${device} ${description}`);
  return { vendor, architecture, device, description, software };
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
