/**
 * Packs without copies: what goes into one flat buffer is computed where it belongs.
 *
 * @module
 */
import type { Location } from "./equal_work.ts";
import { alignment, size, type Tensor } from "../graph/tensor.ts";

/** A node's place in the pack that gathers it. */
export interface Packed {
  readonly pack: Tensor;
  /** In floats. */
  readonly offset: number;
  /** Which of the pack's inputs it is. */
  readonly index: number;
}

/**
 * The nodes that can be written straight into a pack: whole results at offsets that WebGPU can bind, by
 * kernels that leave the padding between them alone. A dispatch must not write to the buffer that it
 * reads, so none that reads a part of the pack makes another.
 *
 * @param work every node to compute, in order
 * @param inputsOf what a node is computed from
 * @param copied nodes that there are several copies of
 */
export function madeInPacks(
  work: readonly Tensor[],
  inputsOf: (t: Tensor) => readonly Tensor[],
  copied: ReadonlySet<Tensor>,
  locate: (t: Tensor) => Location,
): ReadonlyMap<Tensor, Packed> {
  const found = new Map<Tensor, Packed>();
  for (const pack of work) {
    if (pack.source.kind !== "pack") continue;
    const owners = pack.inputs.map((x) => locate(x).owner);
    for (const [index, input] of pack.inputs.entries()) {
      const { owner, offset: within } = locate(input);
      const offset = pack.source.offsets[index] ?? 0;
      const alike = copied.has(owner) === copied.has(pack);
      const whole = alike && within === 0 && size(owner.shape) === size(input.shape);
      // What is there twice would have to be copied within one buffer, which WebGPU does not do.
      if (owners.indexOf(owner) !== owners.lastIndexOf(owner)) continue;
      if (!whole || offset % alignment !== 0 || found.has(owner) || !keepsToItself(owner)) continue;
      found.set(owner, { pack, offset, index });
    }
  }
  for (const t of work) {
    const mine = found.get(t)?.pack;
    if (mine && inputsOf(t).some((x) => found.get(locate(x).owner)?.pack === mine)) found.delete(t);
  }
  return found;
}

/** Whether a dispatch writes its elements only: kernels that go by four fill the last vector up. */
function keepsToItself({ source, shape }: Tensor): boolean {
  if (source.kind !== "dispatch") return false;
  return size(shape) % 4 === 0 || !source.kernel.bindings.at(-1)?.vectors;
}
