/**
 * ONNX's operators that move elements: shapes, axes, pieces.
 *
 * @module
 */
import {
  broadcastTo,
  concat,
  constant,
  dim,
  pad,
  permute,
  reshape,
  size,
  slice,
  take,
  type Tensor,
  where,
} from "../nn/mod.ts";
import { shortened } from "../base/errors.ts";
import type { Rule, Site } from "./value.ts";

/**
 * A shape that a file has written down with its own batch in front, for the batch that there is: an exporter
 * that was shown one image writes `[1, 256]` where it means `[B, 256]`.
 */
function lifted(site: Site, x: Tensor, shape: readonly number[]): readonly number[] {
  const { size: batch, written } = site.batch;
  const [first, ...rest] = shape;
  if (written === undefined || written === batch || first !== written) return shape;
  return dim(x, 0) % batch === 0 && size(x.shape) % batch === 0 ? [batch, ...rest] : shape;
}

const reshaped: Rule = (site) => {
  const x = site.tensor(0);
  const written = site.integers(1) ?? site.numbers("shape") ?? [];
  const keepsZero = site.number("allowzero", 0) === 1;
  const target = written.map((n, axis) => n === 0 && !keepsZero ? dim(x, axis) : n);
  const name = site.node.inputs[0] ?? "";
  const shape = site.batch.lifting?.reshaped(name, x.shape, written) ?? lifted(site, x, target);
  const known = shape.reduce((a, n) => n < 0 ? a : a * n, 1);
  if (shape.filter((n) => n < 0).length > 1 || size(x.shape) % known !== 0) {
    const sizes = `it makes [${shortened(written.join(", "), 60)}] of [${x.shape.join(", ")}]`;
    throw site.refused(
      `${sizes}; export the model for images of this size, with a batch of any size (dynamic_axes)`,
    );
  }
  return reshape(x, shape);
};

const flatten: Rule = (site) => {
  const x = site.tensor(0);
  const axis = site.number("axis", 1);
  const at = axis === x.shape.length ? axis : site.axis(axis, x.shape.length);
  return reshape(x, [size(x.shape.slice(0, at)), size(x.shape.slice(at))]);
};

const squeezed: Rule = (site) => {
  const x = site.tensor(0);
  const written = site.either("axes", 1);
  const axes = written
    ? site.axes(written, x.shape.length)
    // A batch of one image is no axis to be left out.
    : x.shape.flatMap((n, axis) => n === 1 && axis > 0 ? [axis] : []);
  if (axes.some((axis) => x.shape[axis] !== 1)) {
    throw site.refused(`it leaves out axes ${axes.join(", ")} of [${x.shape.join(", ")}]`);
  }
  return reshape(x, x.shape.filter((_, axis) => !axes.includes(axis)));
};

const unsqueezed: Rule = (site) => {
  const x = site.tensor(0);
  const written = site.either("axes", 1) ?? [];
  const rank = x.shape.length + written.length;
  const axes = site.axes(written, rank);
  const sizes = x.shape.values();
  return reshape(
    x,
    Array.from({ length: rank }, (_, i) => axes.includes(i) ? 1 : sizes.next().value ?? 1),
  );
};

const transposed: Rule = (site) => {
  const x = site.tensor(0);
  return permute(x, site.numbers("perm") ?? x.shape.map((_, axis) => axis).toReversed());
};

const concatenated: Rule = (site) => {
  const xs = site.tensors();
  const rank = xs[0]?.shape.length ?? 0;
  const axis = site.axis(site.number("axis", 1), rank);
  const { size: batch, written } = site.batch;
  // A token for each image, written down for the file's own batch.
  const wide = xs.map((x) => {
    const one = axis > 0 && x.shape[0] === written && written !== batch &&
      site.inputs.some((input) => input?.kind === "tensor" && input.tensor.shape[0] === batch);
    return one && written === 1 ? broadcastTo(x, [batch, ...x.shape.slice(1)]) : x;
  });
  return concat(wide.filter((x) => size(x.shape) > 0), axis);
};

const split: Rule = (site) => {
  const x = site.tensor(0);
  const axis = site.axis(site.number("axis", 0), x.shape.length);
  const count = site.node.outputs.length;
  const each = Math.ceil(dim(x, axis) / count);
  const equal = Array.from({ length: count }, (_, i) => Math.min(each, dim(x, axis) - i * each));
  const sizes = site.either("split", 1) ?? equal;
  const uneven = site.opset < 18 && sizes === equal && dim(x, axis) % count !== 0;
  if (
    uneven || site.number("num_outputs", count) !== count || sizes.length !== count ||
    sizes.some((n) => n < 0) || total(sizes) !== dim(x, axis)
  ) {
    throw site.refused(`it cuts ${dim(x, axis)} into ${sizes.join(", ")}`);
  }
  return sizes.map((n, i) => {
    const start = x.shape.map((_, a) => a === axis ? total(sizes.slice(0, i)) : 0);
    return slice(x, start, x.shape.map((m, a) => a === axis ? n : m));
  });
};

function total(sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a + b, 0);
}

const sliced: Rule = (site) => {
  const x = site.tensor(0);
  const starts = site.either("starts", 1) ?? [];
  const ends = site.either("ends", 2) ?? [];
  const axes = (site.either("axes", 3) ?? starts.map((_, i) => i))
    .map((axis) => site.axis(axis, x.shape.length));
  const steps = site.integers(4) ?? starts.map(() => 1);
  const lengths = [starts, ends, axes, steps].map(({ length }) => length);
  if (new Set(lengths).size > 1 || new Set(axes).size < axes.length) {
    throw site.refused(`it cuts ${lengths.join(", ")} axes, or one twice`);
  }
  const box = {
    start: x.shape.map(() => 0),
    step: x.shape.map(() => 1),
    sizes: [...x.shape],
  };
  for (const [i, axis] of axes.entries()) {
    const [n, step] = [dim(x, axis), steps[i] ?? 1];
    if (step === 0) throw site.refused("its step is 0");
    const place = (at: number, least: number, most: number): number =>
      Math.max(least, Math.min(most, at < 0 ? at + n : at));
    const [least, most] = step > 0 ? [0, n] : [-1, n - 1];
    const [from, to] = [place(starts[i] ?? 0, least, most), place(ends[i] ?? n, least, most)];
    const count = Math.max(0, Math.ceil((to - from) / step));
    if (count === 0) throw site.refused("it leaves nothing");
    [box.start[axis], box.step[axis], box.sizes[axis]] = [from, step, count];
  }
  return slice(x, box.start, box.sizes, box.step);
};

const gathered: Rule = (site) => {
  const x = site.tensor(0);
  const axis = site.axis(site.number("axis", 0), x.shape.length);
  const index = site.host(1);
  if (!index) throw site.refused("its indices are missing");
  const places = Array.from(index.data, Number).map((i) => i < 0 ? i + dim(x, axis) : i);
  if (places.some((i) => i < 0 || i >= dim(x, axis))) {
    throw site.refused(`its indices lie outside of ${dim(x, axis)}`);
  }
  const [first = 0] = places;
  const row = places.every((place, i) => place === first + i);
  const taken = row
    ? slice(
      x,
      x.shape.map((_, a) => a === axis ? first : 0),
      x.shape.map((n, a) => a === axis ? places.length : n),
    )
    : take(x, places, axis);
  return reshape(taken, [...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)]);
};

/** Padding by the tensor's own elements: each axis is taken anew by its places. */
function mirrored(
  site: Site,
  x: Tensor,
  edges: readonly (readonly number[])[],
  mode: string,
): Tensor {
  const place = (at: number, n: number): number => {
    if (mode === "edge") return Math.max(0, Math.min(n - 1, at));
    if (mode === "wrap") return (at % n + n) % n;
    return at < 0 ? -at : at >= n ? 2 * (n - 1) - at : at;
  };
  if (!["edge", "wrap", "reflect"].includes(mode)) throw site.refused(`its mode is ${mode}`);
  return edges.reduce((y, [before = 0, after = 0], axis) => {
    const n = dim(y, axis);
    if (before === 0 && after === 0) return y;
    const places = Array.from({ length: before + n + after }, (_, i) => place(i - before, n));
    if (places.some((at) => at < 0 || at >= n)) {
      throw site.refused(`its pads are larger than its ${n} elements`);
    }
    return take(y, places, axis);
  }, x);
}

const padded: Rule = (site) => {
  const x = site.tensor(0);
  const rank = x.shape.length;
  const mode = site.word("mode", "constant");
  const written = site.either("pads", 1) ?? [];
  const axes = (site.integers(3) ?? x.shape.map((_, axis) => axis)).map((a) => site.axis(a, rank));
  const edges = x.shape.map((_, axis) => {
    const at = axes.indexOf(axis);
    return at < 0 ? [0, 0] : [written[at] ?? 0, written[at + axes.length] ?? 0];
  });
  if (written.length !== 2 * axes.length) throw site.refused("its pads do not fit its axes");
  if (mode !== "constant") return mirrored(site, x, edges, mode);
  const value = site.opset < 11 ? site.number("value", 0) : Number(site.host(2)?.data[0] ?? 0);
  // Below 0 something is cut away.
  const cut = slice(
    x,
    edges.map(([before = 0]) => Math.max(0, -before)),
    x.shape.map((n, a) => n + Math.min(0, edges[a]?.[0] ?? 0) + Math.min(0, edges[a]?.[1] ?? 0)),
  );
  const start = edges.map(([before = 0]) => Math.max(0, before));
  const shape = cut.shape.map((n, a) => n + (start[a] ?? 0) + Math.max(0, edges[a]?.[1] ?? 0));
  const inZeros = pad(cut, start, shape);
  if (value === 0) return inZeros;
  const inside = pad(constant(1, cut.shape), start, shape);
  return where(inside, inZeros, constant(value, shape));
};

const expanded: Rule = (site) => {
  const x = site.tensor(0);
  const shape = lifted(site, x, site.integers(1) ?? []);
  // Both ways: a size of 1 in the shape stretches to the tensor's.
  const rank = Math.max(x.shape.length, shape.length);
  const sizes = Array.from({ length: rank }, (_, i) => {
    const own = x.shape[i - rank + x.shape.length] ?? 1;
    const asked = shape[i - rank + shape.length] ?? 1;
    if (own === 1 || asked === 1 || own === asked) return own === 1 ? asked : own;
    throw site.refused(`it makes [${shape.join(", ")}] of [${x.shape.join(", ")}]`);
  });
  return broadcastTo(x, sizes);
};

/** `[B, C r r, H, W]` to `[B, C, H r, W r]`. */
const depthToSpace: Rule = (site) => {
  const x = site.tensor(0);
  const r = site.number("blocksize", 1);
  const [b = 1, all = 1, h = 1, w = 1] = x.shape;
  const c = all / (r * r);
  const mode = site.word("mode", "DCR");
  if (mode !== "DCR" && mode !== "CRD") throw site.refused(`its mode is ${mode}`);
  const apart = mode === "CRD"
    ? permute(reshape(x, [b, c, r, r, h, w]), [0, 1, 4, 2, 5, 3])
    : permute(reshape(x, [b, r, r, c, h, w]), [0, 3, 4, 1, 5, 2]);
  return reshape(apart, [b, c, h * r, w * r]);
};

const spaceToDepth: Rule = (site) => {
  const x = site.tensor(0);
  const r = site.number("blocksize", 1);
  const [b = 1, c = 1, h = 1, w = 1] = x.shape;
  const apart = permute(reshape(x, [b, c, h / r, r, w / r, r]), [0, 3, 5, 1, 2, 4]);
  return reshape(apart, [b, c * r * r, h / r, w / r]);
};

/** The values as they are. */
const same: Rule = (site) => site.tensor(0);

/** As `same`, of a node that does something in training only. */
const dropped: Rule = (site) => {
  const training = site.inputs[2];
  if (training && Number(site.host(2)?.data[0] ?? 0) !== 0) {
    throw site.refused("it is in training mode; export the model after model.eval()");
  }
  return site.tensor(0);
};

/** ONNX's numbers of element types that are real: f32, f16, f64, bfloat16. */
const real = new Set([1, 10, 11, 16]);

const cast: Rule = (site) => {
  if (real.has(site.number("to", 1))) return site.tensor(0);
  throw site.refused(
    "it makes whole numbers of what follows from the images; export the model without it, or " +
      "name an earlier value by --output",
  );
};

/** By the operators' names. */
export const movement: Readonly<Record<string, Rule>> = {
  Cast: cast,
  Concat: concatenated,
  DepthToSpace: depthToSpace,
  Dropout: dropped,
  Expand: expanded,
  Flatten: flatten,
  Gather: gathered,
  Identity: same,
  Pad: padded,
  Reshape: reshaped,
  Slice: sliced,
  SpaceToDepth: spaceToDepth,
  Split: split,
  Squeeze: squeezed,
  Transpose: transposed,
  Unsqueeze: unsqueezed,
};
