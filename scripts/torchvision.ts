/**
 * torchvision's networks, untrained, as PyTorch exports them: their logits against onnxruntime-web's, their gradients
 * in the pixels against PyTorch's.
 *
 * @module
 */
import * as ort from "onnxruntime-web";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import {
  compile,
  constant,
  crossEntropy,
  type Device,
  evaluate,
  grad,
  input,
  release,
  size,
  sum,
  type Tensor,
} from "../src/nn/mod.ts";
import { importOnnx } from "../src/onnx/mod.ts";

/** Networks that `scripts/torchvision_export.py` has. */
export const networkNames = [
  "resnet18",
  "mobilenet_v2",
  "mobilenet_v3_small",
  "squeezenet1_1",
  "densenet121",
  "efficientnet_b0",
  "shufflenet_v2_x1_0",
  "convnext_tiny",
  "vit",
] as const;

/** The name of one of them. */
export type NetworkName = typeof networkNames[number];

/** How a network is written: ONNX's opset, and whether for any number of images or for one. */
export interface Form {
  readonly opset: number;
  readonly isOpen: boolean;
  /** Whether a mean over all pixels is a ReduceMean, which more libraries read than a GlobalAveragePool. */
  readonly isPlain?: boolean;
}

/** Every form that is compared. */
export const forms: readonly Form[] = [13, 17].flatMap((opset) =>
  [true, false].map((isOpen) => ({ opset, isOpen }))
);

/** What is exported. */
export interface Export {
  /** A Python with torch, torchvision and onnx. */
  readonly python: string;
  readonly folder: string;
  readonly names: readonly NetworkName[];
  /** Few and narrow blocks instead of those that were published; there is no small ResNet-18 or SqueezeNet. */
  readonly small: boolean;
  /** Height and width of the images. */
  readonly size: number;
  readonly forms: readonly Form[];
}

const suffix = ({ opset, isOpen }: Form): string => `${opset}_${isOpen ? "any" : "one"}`;

/** Where a file of a network lies. */
export function pathOf(folder: string, name: NetworkName, form: Form): string {
  return `${folder}/${name}_${suffix(form)}.onnx`;
}

/**
 * Exports networks, and arrays that PyTorch makes of two images in f64: `NAME.safetensors`.
 *
 * @throws Error with what Python said, where it fails
 */
export async function exportNetworks({ python, forms, ...request }: Export): Promise<void> {
  const script = new URL("torchvision_export.py", import.meta.url);
  const files = forms.map((form) => [
    suffix(form),
    form.opset,
    form.isOpen,
    form.isPlain ?? false,
  ]);
  const { success, stderr } = await new Deno.Command(python, {
    // -B: the source folder is no place for Python's cache.
    args: ["-B", decodeURIComponent(script.pathname), JSON.stringify({ ...request, files })],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot export: ${new TextDecoder().decode(stderr)}`);
}

/** How far a file's figures are off. */
export interface Comparison {
  readonly form: Form;
  /** Largest difference of a logit from onnxruntime-web's, as a share of the range of these. */
  readonly logits: number;
  /** The same difference from PyTorch's in f64. */
  readonly logitsOfTorch: number;
  /** Distance of the gradient of the summed cross-entropy from PyTorch's in f64, as a share of its length. */
  readonly gradient: number;
  /** The same distance of the gradient in f64, where the device's is further off than {@linkcode bounds} say. */
  readonly exact: number | undefined;
  /** What is wrong with it; undefined where nothing is. */
  readonly fault: string | undefined;
}

/**
 * How far figures may be off. A ReLU that falls on the other side in f32 changes a gradient as a whole: what is
 * further off than `gradient` on the device has to be right in f64, and may be as far off as `kink`.
 */
export const bounds = { logits: 1e-4, gradient: 1e-4, exact: 1e-5, kink: 1e-2 } as const;

/**
 * Compares one file of a network that was exported.
 *
 * @param device computes the figures; in f64 on the host where there is none
 * @throws UserError where it cannot be imported
 */
export async function compareFile(
  device: Device | undefined,
  folder: string,
  name: NetworkName,
  form: Form,
): Promise<Comparison> {
  const { tensors } = await readSafetensors(`${folder}/${name}.safetensors`);
  const array = (key: string): { shape: readonly number[]; data: Float32Array<ArrayBuffer> } => {
    const { shape = [], data = [] } = tensors.get(key) ?? {};
    return { shape, data: Float32Array.from(data) };
  };
  const [images, dx] = [array("x"), array("dx").data];
  const path = pathOf(folder, name, form);
  const network = await importOnnx(path);
  const x = input(images.shape);
  const logits = network.logits(x);
  const [gradient] = grad(sum(crossEntropy(logits, constant(array("labels").data))), [x]);
  if (!gradient) throw new Error("Unreachable: no gradient of one tensor");
  const inF64 = (): Float64Array[] => evaluate([logits, gradient], new Map([[x, images.data]]));
  const [a = [], b = []] = device
    ? await onDevice(device, [logits, gradient], x, images.data)
    : inF64();
  if (device) release(device, network.state.values());
  const off = distance(b, dx);
  const isNear = device !== undefined && off <= bounds.gradient;
  const figures = {
    logits: ofRange(a, await runOrt(path, images, form)),
    logitsOfTorch: ofRange(a, array("logits").data),
    gradient: off,
    exact: isNear ? undefined : device ? distance(inF64()[1] ?? [], dx) : off,
  };
  return { form, ...figures, fault: faultOf(figures) };
}

async function onDevice(
  device: Device,
  outputs: readonly Tensor[],
  x: Tensor,
  images: Float32Array<ArrayBuffer>,
): Promise<Float32Array[]> {
  using program = await compile(device, { inputs: [x], outputs: [...outputs] });
  program.run([images]);
  const read: Float32Array[] = [];
  for (const output of outputs) read.push(await program.read(output));
  return read;
}

/** What is further off than {@linkcode bounds} allow, in words; undefined where nothing is. */
function faultOf(figures: Pick<Comparison, "logits" | "logitsOfTorch" | "gradient" | "exact">):
  | string
  | undefined {
  const { logits, logitsOfTorch, gradient, exact = 0 } = figures;
  if (!(logits <= bounds.logits)) return `logits ${show(logits)} off onnxruntime-web's`;
  if (!(logitsOfTorch <= bounds.logits)) return `logits ${show(logitsOfTorch)} off PyTorch's`;
  if (!(exact <= bounds.exact)) return `gradient in f64 ${show(exact)} off PyTorch's`;
  if (!(gradient <= bounds.kink)) return `gradient ${show(gradient)} off PyTorch's`;
  return undefined;
}

/** onnxruntime-web's logits, on one thread: of a file for one image, one image after the other. */
async function runOrt(
  path: string,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array },
  { isOpen }: Form,
): Promise<number[]> {
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(await Deno.readFile(path));
  const [images = 1, ...image] = shape;
  const logits: number[] = [];
  for (let i = 0; i < (isOpen ? 1 : images); i++) {
    const part = isOpen ? data : data.subarray(i * size(image), (i + 1) * size(image));
    const given = new ort.Tensor("float32", part, [isOpen ? images : 1, ...image]);
    const { logits: made } = await session.run({ image: given });
    logits.push(...made?.data as Float32Array);
  }
  await session.release();
  return logits;
}

/** Largest difference as a share of the second's range. */
function ofRange(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN;
  const all = Array.from(b);
  const range = Math.max(...all) - Math.min(...all);
  return Math.max(...all.map((v, i) => Math.abs(v - (a[i] ?? NaN)))) / range;
}

/** Distance as a share of the second's length. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN;
  const all = Array.from(b);
  return Math.hypot(...all.map((v, i) => v - (a[i] ?? NaN))) / Math.hypot(...all);
}

/** A share as people read it, such as `1.2e-6`. */
export function show(share: number): string {
  return share.toExponential(1);
}
