/**
 * Whether a network fits: several images at once, and the GPU.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { compile, type Device, input, Random, size, slice } from "../nn/mod.ts";
import type { ImportedClassifier } from "./import.ts";

/** How far logits may lie apart, as a share of the largest: other sizes are summed in another order. */
const tolerance = 1e-3;

/**
 * Holds the logits of two images at once against those of one at a time. A statistic over the batch makes them
 * differ, and so does a file that is written for a fixed number of images and means something else by it.
 *
 * @param imageShape `[C, H, W]`
 * @throws UserError where they differ
 */
export async function checkLifted(
  device: Device,
  network: Pick<ImportedClassifier, "name" | "isLifted" | "logits">,
  imageShape: readonly number[],
): Promise<void> {
  const images = input([2, ...imageShape]);
  const zeros = imageShape.map(() => 0);
  const each = [0, 1].map((i) => network.logits(slice(images, [i, ...zeros], [1, ...imageShape])));
  const together = network.logits(images);
  using program = await compile(device, { inputs: [images], outputs: [together, ...each] });
  program.run([new Random(0).uniform(2 * size(imageShape))]);
  const all = await program.read(together);
  const alone: number[] = [];
  for (const one of each) alone.push(...await program.read(one));
  const largest = Math.max(...all.filter(Number.isFinite).map(Math.abs), Number.MIN_VALUE);
  const isAsAlone = (value: number, i: number): boolean => {
    const other = all[i] ?? NaN;
    return Object.is(value, other) || Math.abs(value - other) <= tolerance * largest;
  };
  if (alone.every(isAsAlone)) return;
  throw new UserError(
    `Cannot use "${
      shortened(network.name, 80)
    }" on several images at once: one changes the logits of another; ` +
      `${network.isLifted ? "export it with a batch of any size (dynamic_axes) and " : ""}` +
      "leave out what it computes over the batch",
  );
}

/**
 * Looks whether a GPU can hold the weights of a network, before it is given them.
 *
 * @throws UserError naming the first array that is too large
 */
export function checkWeights(
  { limits }: Pick<Device, "limits">,
  { name, state }: Pick<ImportedClassifier, "name" | "state">,
): void {
  const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  for (const [array, { data: { byteLength } }] of state) {
    if (byteLength <= most) continue;
    throw new UserError(
      `Cannot use "${shortened(name, 80)}" on this GPU: "${shortened(array, 60)}" has ${
        mib(byteLength)
      }, one of its buffers at most ${mib(most)}; use another GPU, or a smaller model`,
    );
  }
}
