/**
 * A classifier out of an ONNX file.
 *
 * @module
 */
import { dim, input, type Parameter, show, type Tensor } from "../nn/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import { sha256 } from "../base/digest.ts";
import { type Preprocess, TraceableGraph } from "./graph.ts";
import type { Choices } from "./plan.ts";
import { readOnnx } from "./read.ts";

/** How a file is taken. */
export interface ImportOptions extends Choices {
  /** What is done to pixels first; nothing when not given, for most files do it themselves. */
  readonly preprocess?: Preprocess | undefined;
}

/** A classifier out of a file. Its ball and box are always those of pixels in [0, 1]. */
export interface ImportedClassifier {
  /** Name of the file, or `model.onnx`. */
  readonly name: string;
  /** SHA-256 of the file, and of what it keeps beside itself. */
  readonly sha256: string;
  /** Paths of the files that a part of it lies in, from its folder on; none of one that is whole. */
  readonly beside: readonly string[];
  /** `[C, H, W]` of an image, as far as the file says it. */
  readonly imageShape: readonly (number | undefined)[] | undefined;
  /** Weights on the device by name; complete once a graph was traced. */
  readonly state: ReadonlyMap<string, Parameter>;
  /** Whether the file is written for a fixed number of images, which other numbers take the place of. */
  readonly isLifted: boolean;
  /** For people: what was decided where the file leaves a choice. */
  readonly notes: readonly string[];
  /** Images `[B, C, H, W]` to logits `[B, K]`. */
  logits(images: Tensor): Tensor;
  /**
   * Images to what the last linear layer takes, `[B, D]`; undefined of a network that has none, and, once it was
   * traced, of one whose last linear layer takes no row an image.
   *
   * @throws UserError as `logits`, and where that shows at the first images only
   */
  readonly features: ((images: Tensor) => Tensor) | undefined;
  /**
   * Classes that it tells apart.
   *
   * @param imageShape `[C, H, W]`
   * @throws UserError where it cannot take such images, gives fewer than 2 numbers an image, or several rows of them
   */
  classes(imageShape: readonly number[]): number;
}

/**
 * Reads a classifier from an ONNX file.
 *
 * @param file its path, or its bytes
 * @example
 * ```ts ignore
 * const network = await importOnnx("model.onnx");
 * const { result } = await attackModel({ device, logits: network.logits, inDomain, outDomain, epsilon: 0.1 });
 * ```
 * @throws UserError where it cannot be read, or has what cannot be computed
 */
export async function importOnnx(
  file: string | Uint8Array,
  { preprocess, ...choices }: ImportOptions = {},
): Promise<ImportedClassifier> {
  const model = await readOnnx(file);
  const graph = new TraceableGraph(model, choices, preprocess);
  const features = (images: Tensor): Tensor => {
    const { features } = graph.trace(images);
    if (features) return features;
    throw new UserError(
      `Cannot take the features of "${
        shortened(model.name, 80)
      }": what its last linear layer takes is no row an image; name another value by --features`,
    );
  };
  return {
    name: model.name,
    sha256: sha256(model.sha256, JSON.stringify([choices, preprocess])),
    beside: model.beside,
    imageShape: graph.imageShape,
    state: graph.state,
    isLifted: graph.isLifted,
    notes: graph.plan.notes,
    logits: (images) => graph.trace(images).logits,
    get features(): typeof features | undefined {
      return graph.hasFeatures ? features : undefined;
    },
    classes(imageShape): number {
      const { logits, answer } = graph.trace(input([1, ...imageShape]));
      const classes = dim(logits, 1);
      const isMap = answer.filter((n) => n > 1).length > 1;
      if (classes >= 2 && !isMap) return classes;
      throw new UserError(
        `Cannot use "${shortened(model.name, 80)}" as a classifier: it gives ${
          isMap ? `numbers of shape ${show(answer)}` : "one number"
        } an image; name an output of one row of 2 or more by --output`,
      );
    },
  };
}
