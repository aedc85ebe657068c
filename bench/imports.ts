/**
 * What imported networks cost an image beside other libraries that read ONNX files, in turns: a forward pass, and
 * where a library has gradients, a pass forward and back to the pixels. All read the same files, which PyTorch has
 * exported from torchvision.
 *
 * @module
 */
import { defaultDevice, grad as jaxGrad, init, jit, numpy as np } from "@jax-js/jax";
import { ONNXModel } from "@jax-js/onnx";
import * as ort from "onnxruntime-web";
import { max, min } from "simple-statistics";
import manifest from "../deno.json" with { type: "json" };
import { findPython } from "../scripts/python.ts";
import { exportNetworks, type Form, type NetworkName, pathOf } from "../scripts/torchvision.ts";
import { UserError } from "../src/base/errors.ts";
import {
  compile,
  grad,
  input,
  Random,
  release,
  size,
  square,
  sum,
  type Tensor,
} from "../src/nn/mod.ts";
import { importOnnx } from "../src/onnx/mod.ts";
import { mirage } from "./contenders/mirage.ts";
import { summarise, type Summary } from "./statistics.ts";

/** The networks. */
const networks: readonly NetworkName[] = ["resnet18", "mobilenet_v2"];

/** How their files are written. */
const form: Form = { opset: 17, isOpen: true, isPlain: true };

/** How far values may lie from Mirage's, as a share of their range: a ReLU on the other side changes a gradient. */
const tolerances = { forward: 1e-3, gradient: 1e-2 } as const;

/** Milliseconds after which a kind of pass that is slow takes no more turns. */
const patience = 30_000;

/** What is measured. */
export interface ImportSettings {
  readonly rounds: number;
  /** Images of a pass. */
  readonly batch: number;
  /** Their height and width. */
  readonly size: number;
}

/** One kind of pass of a library over a network. */
export interface ImportRow {
  readonly network: string;
  readonly library: string;
  readonly version: string;
  /** Where it computes. */
  readonly where: string;
  /** `forward`; `gradient`: forward, and back to the pixels. */
  readonly pass: "forward" | "gradient";
  /** Milliseconds an image. */
  readonly image: Summary;
  /** How many times as long as Mirage's pass of the same kind and round. */
  readonly ratio: Summary;
}

/** What was measured, and of what. */
export interface ImportReport extends Omit<ImportSettings, "rounds"> {
  readonly rows: readonly ImportRow[];
}

/** A library's version of a network, ready to run; what it computes is read back. */
interface Passes {
  /** Logits `[B, K]`. */
  readonly forward: () => Promise<ArrayLike<number>>;
  /** The gradient of the sum of their squares in the pixels; undefined of a library without gradients. */
  readonly gradient?: () => Promise<ArrayLike<number>>;
  close(): Promise<void> | void;
}

/** A library that reads ONNX files. */
interface Reader {
  readonly name: string;
  readonly version: string;
  readonly where: string;
  read(path: string, images: Float32Array<ArrayBuffer>, shape: readonly number[]): Promise<Passes>;
  close?(): Promise<void> | void;
}

/**
 * Measures in turns.
 *
 * @throws UserError where no Python can export the networks
 */
export async function measureImports(
  settings: ImportSettings,
  say: (line: string) => void,
): Promise<ImportReport> {
  const python = await findPython("torch,torchvision,onnx");
  if (!python) {
    throw new UserError(
      "Cannot export the networks: no python3 has torch, torchvision and onnx; install Debian's " +
        "python3-torch, python3-torchvision and python3-onnx",
    );
  }
  const folder = await Deno.makeTempDir();
  try {
    const asked = { python, folder, names: networks, small: false, size: settings.size };
    await exportNetworks({ ...asked, forms: [form] });
    const readers = [await ownReader(), ortReader()];
    const jax = await jaxReader();
    if (jax) readers.push(jax);
    else say("jax-js finds no WebGPU; going on without it");
    const rows: ImportRow[] = [];
    for (const name of networks) {
      rows.push(...await compareReaders(name, pathOf(folder, name, form), readers, settings, say));
    }
    for (const reader of readers) await reader.close?.();
    return { batch: settings.batch, size: settings.size, rows };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** One network: agreement first, then passes in turns (A B C A B C). */
async function compareReaders(
  network: NetworkName,
  path: string,
  readers: readonly Reader[],
  { rounds, batch, size: side }: ImportSettings,
  say: (line: string) => void,
): Promise<ImportRow[]> {
  const shape = [batch, 3, side, side];
  const images = new Random(1).uniform(size(shape));
  const all: Passes[] = [];
  const turns: Turn[] = [];
  const wanted: { -readonly [Pass in ImportRow["pass"]]?: ArrayLike<number> } = {};
  for (const reader of readers) {
    const passes = await reader.read(path, images, shape);
    all.push(passes);
    for (const pass of ["forward", "gradient"] as const) {
      const run = passes[pass];
      if (!run) continue;
      const values = await run();
      const off = difference(values, wanted[pass] ??= values);
      if (!(off <= tolerances[pass])) {
        say(
          `${network}: ${reader.name}'s ${pass} pass gives other values than Mirage's, by ` +
            `${off.toExponential(1)} of their range; it takes no turn`,
        );
        continue;
      }
      turns.push(await turnOf(reader, pass, run));
    }
    say(`${network}: ${reader.name} is ready`);
  }
  for (let round = 0; round < rounds; round++) {
    for (const { run, times, most } of turns) {
      if (times.length >= most) continue;
      const started = performance.now();
      await run();
      times.push((performance.now() - started) / batch);
    }
    say(`${network}: round ${round + 1} of ${rounds}`);
  }
  for (const passes of all) await passes.close();
  return turns.map(({ reader: { name, version, where }, pass, times }) => {
    const own = turns.find((turn) => turn.pass === pass)?.times ?? [];
    const ratio = summarise(times.map((ms, round) => ms / (own[round] ?? NaN)));
    return { network, library: name, version, where, pass, image: summarise(times), ratio };
  });
}

/** A kind of pass that takes turns. */
interface Turn {
  readonly reader: Reader;
  readonly pass: ImportRow["pass"];
  run(): Promise<unknown>;
  /** Turns that it takes at most. */
  readonly most: number;
  /** Milliseconds an image, a turn each. */
  readonly times: number[];
}

/** How many turns a kind of pass that is warm has. */
async function turnOf(
  reader: Reader,
  pass: ImportRow["pass"],
  run: () => Promise<unknown>,
): Promise<Turn> {
  const started = performance.now();
  await run();
  const most = Math.max(1, Math.floor(patience / (performance.now() - started)));
  return { reader, pass, run, most, times: [] };
}

/** Largest difference as a share of the second's range; NaN where they are not as many. */
function difference(values: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (values.length !== wanted.length) return NaN;
  const right = Array.from(wanted);
  return max(right.map((z, i) => Math.abs(z - (values[i] ?? NaN)))) / (max(right) - min(right));
}

async function ownReader(): Promise<Reader> {
  const { device, name, version, where, close } = await mirage();
  return {
    name,
    version,
    where,
    ...(close ? { close } : {}),
    async read(path, images, shape): Promise<Passes> {
      const network = await importOnnx(path);
      const x = input(shape);
      const logits = network.logits(x);
      const [dx] = grad(sum(square(logits)), [x]);
      if (!dx) throw new Error("Unreachable: no gradient of one tensor");
      const passOf = async (y: Tensor): Promise<(() => Promise<Float32Array>) & Disposable> => {
        const program = await compile(device, { inputs: [x], outputs: [y] });
        const run = (): Promise<Float32Array> => {
          program.run([images]);
          return program.read(y);
        };
        return Object.assign(run, { [Symbol.dispose]: () => program[Symbol.dispose]() });
      };
      const [forward, gradient] = [await passOf(logits), await passOf(dx)];
      return {
        forward,
        gradient,
        close(): void {
          forward[Symbol.dispose]();
          gradient[Symbol.dispose]();
          release(device, network.state.values());
        },
      };
    },
  };
}

/** onnxruntime-web's WebAssembly, on all cores. */
function ortReader(): Reader {
  const threads = navigator.hardwareConcurrency;
  ort.env.wasm.numThreads = threads;
  return {
    name: "onnxruntime-web",
    version: versionOf("onnxruntime-web"),
    where: `WebAssembly, ${threads} thread${threads === 1 ? "" : "s"}`,
    async read(path, images, shape): Promise<Passes> {
      const session = await ort.InferenceSession.create(await Deno.readFile(path));
      const image = new ort.Tensor("float32", images, shape);
      return {
        forward: async () => (await session.run({ image }))["logits"]?.data as Float32Array,
        close: () => session.release(),
      };
    },
  };
}

/** jax-js on its WebGPU backend, with its own reader of ONNX files; undefined where it finds no GPU. */
async function jaxReader(): Promise<Reader | undefined> {
  if (!(await init("webgpu")).includes("webgpu")) return undefined;
  defaultDevice("webgpu");
  return {
    name: "jax-js",
    version: versionOf("@jax-js/jax"),
    where: "WebGPU",
    async read(path, images, shape): Promise<Passes> {
      const model = new ONNXModel(await Deno.readFile(path));
      const logits = (image: np.Array): np.Array => {
        const { logits } = model.run({ image });
        if (!logits) throw new Error("Unreachable: a file without logits");
        return logits;
      };
      const x = np.array(images).reshape([...shape]);
      const forward = jit(logits);
      const gradient = jit(jaxGrad((image: np.Array) => {
        const z = logits(image);
        return z.ref.mul(z).sum();
      }));
      return {
        forward: () => (forward(x.ref) as np.Array).data() as Promise<Float32Array>,
        gradient: () => (gradient(x.ref) as np.Array).data() as Promise<Float32Array>,
        close(): void {
          x.dispose();
          forward.dispose();
          gradient.dispose();
          model.dispose();
        },
      };
    },
  };
}

function versionOf(name: keyof typeof manifest.imports): string {
  return manifest.imports[name].split("@").at(-1) ?? "";
}
