/**
 * ONNX's convolutions and poolings.
 *
 * @module
 */
import {
  add,
  avgPool2d,
  conv2d,
  conv2dInput,
  dim,
  max,
  maxPool2d,
  mean,
  reshape,
  type Tensor,
} from "../nn/mod.ts";
import { fusing } from "./fusing.ts";
import type { Rule, Site } from "./value.ts";

/** Numbers of the two axes of an image. */
type Pair = readonly [height: number, width: number];

/** Rows and columns before the first pixel and after the last. */
type Edges = readonly [top: number, left: number, bottom: number, right: number];

/** What windows over an image have in common. */
interface Geometry {
  readonly window: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: Edges;
}

/** `[B, C, H, W]` of images, or of signals `[B, C, W]` as images of one row. */
function planes(site: Site, at = 0): Tensor {
  const x = site.tensor(at);
  const [b = 1, c = 1, w = 1] = x.shape;
  if (x.shape.length === 4) return x;
  if (x.shape.length === 3) return reshape(x, [b, c, 1, w]);
  throw site.refused(`it works on ${x.shape.length - 2} axes of space; 1 or 2 are possible`);
}

/** Two numbers of an attribute; of signals the one, with `first` for the axis that they lack. */
function pair(site: Site, name: string, first: number): Pair | undefined {
  const found = site.numbers(name);
  if (!found) return undefined;
  const [a, b] = found;
  const axes = site.tensor(0).shape.length - 2;
  if (found.length !== axes) throw site.refused(`its ${name} are ${found.length}, of ${axes} axes`);
  if (found.length === 2 && a !== undefined && b !== undefined) return [a, b];
  if (found.length === 1 && a !== undefined) return [first, a];
  throw site.refused(`its ${name} are ${found.length} numbers`);
}

/** Strides, dilations and zeros as the node has them, of a window over images `[..., H, W]`. */
function geometryOf(site: Site, x: Tensor, window: Pair): Geometry {
  const stride = pair(site, "strides", 1) ?? [1, 1];
  const dilation = pair(site, "dilations", 1) ?? [1, 1];
  return { window, stride, dilation, padding: paddingOf(site, x, { window, stride, dilation }) };
}

function paddingOf(site: Site, x: Tensor, geometry: Omit<Geometry, "padding">): Edges {
  const automatic = site.word("auto_pad", "NOTSET");
  if (automatic === "VALID") return [0, 0, 0, 0];
  if (automatic === "SAME_UPPER" || automatic === "SAME_LOWER") {
    const [height, width] = [0, 1].map((axis): Pair => {
      const [n, s] = [dim(x, axis + 2), geometry.stride[axis] ?? 1];
      const reach = ((geometry.window[axis] ?? 1) - 1) * (geometry.dilation[axis] ?? 1) + 1;
      const total = Math.max(0, (Math.ceil(n / s) - 1) * s + reach - n);
      const less = Math.floor(total / 2);
      return automatic === "SAME_UPPER" ? [less, total - less] : [total - less, less];
    });
    return [height?.[0] ?? 0, width?.[0] ?? 0, height?.[1] ?? 0, width?.[1] ?? 0];
  }
  if (automatic !== "NOTSET" && automatic !== "") {
    throw site.refused(`its auto_pad is ${automatic}`);
  }
  const written = site.numbers("pads") ?? [0, 0, 0, 0];
  const [a = 0, b = 0, c = 0, d = 0] = written;
  const axes = site.tensor(0).shape.length - 2;
  if (site.node.attributes.has("pads") && written.length !== 2 * axes) {
    throw site.refused(`its pads are ${written.length}, of ${axes} axes`);
  }
  if (written.some((n) => n < 0)) throw site.refused("its pads are below 0");
  return written.length === 2 ? [0, a, 0, b] : [a, b, c, d];
}

/** As many axes as the input has. */
function likeInput(site: Site, y: Tensor): Tensor {
  const signal = site.tensor(0).shape.length === 3;
  return signal ? reshape(y, [dim(y, 0), dim(y, 1), dim(y, 3)]) : y;
}

function filters(site: Site): Tensor {
  const w = planes(site, 1);
  if (site.tensor(1).shape.length !== site.tensor(0).shape.length) {
    throw site.refused("its weights have other axes than its input");
  }
  const said = pair(site, "kernel_shape", 1);
  if (said && (said[0] !== dim(w, 2) || said[1] !== dim(w, 3))) {
    throw site.refused(`its kernel_shape is ${said.join(" x ")}, its weights are not`);
  }
  return w;
}

const conv: Rule = (site) => {
  const [x, w, bias] = [planes(site), filters(site), site.optional(2)];
  const { stride, dilation, padding } = geometryOf(site, x, [dim(w, 2), dim(w, 3)]);
  const options = { stride, dilation, padding, groups: site.number("group", 1), bias };
  if (site.tensor(0).shape.length !== 4) return likeInput(site, conv2d(x, w, options));
  return fusing((epilogue) => conv2d(x, w, { ...options, ...epilogue }));
};

const convTranspose: Rule = (site) => {
  const [x, w, bias] = [planes(site), filters(site), site.optional(2)];
  const { window, stride, dilation, padding } = geometryOf(site, x, [dim(w, 2), dim(w, 3)]);
  if (
    !["NOTSET", "VALID", ""].includes(site.word("auto_pad", "NOTSET")) ||
    site.numbers("output_shape")
  ) {
    throw site.refused("its padding is given by the size of its output; write pads instead");
  }
  const extra = pair(site, "output_padding", 0) ?? [0, 0];
  const [h, wide] = [0, 1].map((axis) =>
    (dim(x, axis + 2) - 1) * (stride[axis] ?? 1) +
    ((window[axis] ?? 1) - 1) * (dilation[axis] ?? 1) +
    1 + (extra[axis] ?? 0) - (padding[axis] ?? 0) - (padding[axis + 2] ?? 0)
  );
  const groups = site.number("group", 1);
  const y = conv2dInput(x, w, [h ?? 1, wide ?? 1], { stride, dilation, padding, groups });
  return likeInput(site, bias ? add(y, reshape(bias, [1, -1, 1, 1])) : y);
};

/** Windows of a pooling, and whether the last may reach beyond the image. */
function poolingOf(site: Site, x: Tensor): Geometry & { readonly ceil: boolean } {
  const window = pair(site, "kernel_shape", 1);
  if (!window) throw site.refused("it has no kernel_shape");
  return { ...geometryOf(site, x, window), ceil: site.number("ceil_mode", 0) === 1 };
}

const maxPool: Rule = (site) => {
  if (site.number("storage_order", 0) !== 0) throw site.refused("its storage_order is not 0");
  const x = planes(site);
  return likeInput(site, maxPool2d(x, poolingOf(site, x)));
};

const averagePool: Rule = (site) => {
  const x = planes(site);
  const { dilation, ...pooling } = poolingOf(site, x);
  if (dilation.some((n) => n !== 1)) throw site.refused("its dilations are not 1");
  const countIncludePad = site.number("count_include_pad", 0) === 1;
  return likeInput(site, avgPool2d(x, { ...pooling, countIncludePad }));
};

/** Over all axes of space, which keep size 1. */
function globally(of: (rows: Tensor) => Tensor): Rule {
  return (site) => {
    const x = site.tensor(0);
    const [b = 1, c = 1] = x.shape;
    return reshape(of(reshape(x, [b * c, -1])), [b, c, ...x.shape.slice(2).map(() => 1)]);
  };
}

/** By the operators' names. */
export const convolutions: Readonly<Record<string, Rule>> = {
  AveragePool: averagePool,
  Conv: conv,
  ConvTranspose: convTranspose,
  GlobalAveragePool: globally((rows) => mean(rows, [1])),
  GlobalMaxPool: globally((rows) => max(rows, 1)),
  MaxPool: maxPool,
};
