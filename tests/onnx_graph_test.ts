/** What is made of whole graphs: how they end, what their features are, and what would be wrong without a word. */
import assert from "node:assert/strict";
import { UserError } from "../src/base/errors.ts";
import { type Choices, importOnnx } from "../src/onnx/mod.ts";
import { evaluate, grad, input, sum, type Tensor } from "../src/nn/mod.ts";
import { node, type Part, tensor, value, writeGraph } from "./onnx_writer.ts";

/** A graph from `x` to `y`, of f32 unless told. */
interface Written {
  readonly nodes: readonly Part<"Node">[];
  readonly arrays?: readonly Part<"Tensor">[];
  /** Of the input, its batch in front; open and of images where not told. */
  readonly takes?: Part<"ValueInfo">;
  readonly opset?: number;
}

function file({ nodes, arrays = [], takes, opset = 17 }: Written): Uint8Array<ArrayBuffer> {
  const graph = {
    input: [takes ?? value("x", ["b", 1, 2, 2])],
    output: [{ name: "y" }],
    initializer: arrays,
    node: nodes,
  };
  return writeGraph(graph, { opset });
}

const ints = (name: string, ...values: number[]): Part<"Tensor"> =>
  tensor(name, "int64", [values.length], values);

const floats = (
  name: string,
  dims: readonly number[],
  ...values: number[]
): Part<"Tensor"> => tensor(name, "float32", dims, values);

/** Two images of four pixels. */
const images = [0.1, 0.9, 0.4, 0.2, 0.7, 0.3, 0.8, 0.5];

/** What a tensor of images is in f64. */
function of(make: (images: Tensor) => Tensor, shape = [2, 1, 2, 2]): number[] {
  const x = input(shape);
  const [values = []] = evaluate([make(x)], new Map([[x, images.slice(0, 4 * (shape[0] ?? 1))]]));
  return Array.from(values, (v) => Number(v.toFixed(6)) + 0);
}

async function logitsOf(written: Written, choices: Choices = {}): Promise<number[]> {
  const network = await importOnnx(file(written), choices);
  return of((x) => network.logits(x));
}

/** Holds a refusal: one sentence, whenever it comes. */
async function refuses(written: Written, state: RegExp, choices: Choices = {}): Promise<void> {
  await assert.rejects(logitsOf(written, choices), (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, state);
    assert.match(error.message, /^Cannot [^\n]{10,500}[^.]$/);
    return true;
  });
}

const flat = node("Flatten", ["x"], ["z"]);

Deno.test("a softmax at the end is left out, whatever shape its probabilities are given", async () => {
  const column = node("Reshape", ["x", "column"], ["z"]);
  const arrays = [ints("column", 0, 4, 1, 1), ints("rows", 0, -1), ints("ones", 2, 3)];
  const endings: Record<string, readonly Part<"Node">[]> = {
    itself: [flat, node("Softmax", ["z"], ["y"])],
    negative: [column, node("Softmax", ["z"], ["y"], { axis: -3 })],
    flattened: [column, node("Softmax", ["z"], ["p"], { axis: 1 }), node("Flatten", ["p"], ["y"])],
    reshaped: [
      column,
      node("Softmax", ["z"], ["p"], { axis: 1 }),
      node("Reshape", ["p", "rows"], ["y"]),
    ],
    squeezed: [
      column,
      node("LogSoftmax", ["z"], ["p"], { axis: 1 }),
      node("Squeeze", ["p", "ones"], ["y"]),
    ],
    turned: [
      column,
      node("Transpose", ["z"], ["t"], { perm: [0, 2, 3, 1] }),
      node("Softmax", ["t"], ["p"], { axis: 3 }),
      node("Transpose", ["p"], ["y"], { perm: [0, 3, 1, 2] }),
    ],
    logarithm: [flat, node("Softmax", ["z"], ["p"]), node("Log", ["p"], ["y"])],
    exponential: [flat, node("LogSoftmax", ["z"], ["p"]), node("Exp", ["p"], ["y"])],
    "another float": [flat, node("Softmax", ["z"], ["p"]), node("Cast", ["p"], ["y"], { to: 11 })],
  };
  for (const [how, nodes] of Object.entries(endings)) {
    const network = await importOnnx(file({ nodes, arrays }));
    assert.deepEqual(of((x) => network.logits(x)), images, how);
    assert.match(network.notes.join(), /^The model ends in (Log)?Softmax; the logits before/, how);
  }
  // Until opset 12 axis 1 is all that an image has.
  assert.deepEqual(
    await logitsOf({ nodes: [node("Softmax", ["x"], ["y"])], opset: 11 }),
    images,
  );
});

Deno.test("a softmax that is not over all classes is refused, and one before the end is kept", async () => {
  const softmax = [node("Softmax", ["x"], ["p"]), node("Flatten", ["p"], ["y"])];
  await refuses(
    { nodes: softmax },
    /before the Softmax node "Softmax_0": it is over axis -1 of \[2, 1, 2, 2\].*"x" or an earlier/,
  );
  await refuses({ nodes: [flat, node("Softmax", ["z"], ["y"], { axis: 0 })] }, /is over axis 0 of/);
  const twice = [
    flat,
    node("Softmax", ["z"], ["p"]),
    node("Identity", ["p"], ["q"]),
    node("Add", ["p", "q"], ["y"]),
  ];
  const sums = await logitsOf({ nodes: twice });
  assert.equal(sums.slice(0, 4).reduce((a, b) => a + b, 0).toFixed(5), "2.00000");
  const network = await importOnnx(file({ nodes: [flat, node("Sigmoid", ["z"], ["y"])] }));
  assert.match(network.notes.join(), /ends in Sigmoid; what that gives is taken for logits/);
});

Deno.test("what takes probabilities beside the end still has them", async () => {
  const nodes = [flat, node("Softmax", ["z"], ["p"]), node("Flatten", ["p"], ["y"])];
  const network = await importOnnx(file({ nodes }), { features: "p" });
  assert.deepEqual(of((x) => network.logits(x)), images);
  const { features } = network;
  assert.ok(features);
  assert.equal(of(features).slice(0, 4).reduce((a, b) => a + b, 0).toFixed(5), "1.00000");
});

Deno.test("an input of whole numbers is refused: pixels would be fractions there", async () => {
  const shape = { dim: [{ dimParam: "b" }, { dimValue: 1n }, { dimValue: 2n }, { dimValue: 2n }] };
  const takes = (elemType: number): Part<"ValueInfo"> => ({
    name: "x",
    type: { tensorType: { elemType, shape } },
  });
  const nodes = [node("Cast", ["x"], ["c"], { to: 1 }), node("Flatten", ["c"], ["y"])];
  for (const elemType of [2, 7, 9]) {
    await refuses({ nodes, takes: takes(elemType) }, /input "x".*it takes (uint8|int64|bool)/);
  }
  assert.deepEqual(await logitsOf({ nodes, takes: takes(11) }), images);
});

Deno.test("images are given as they are where they fit so, with channels last where they do not", async () => {
  const flatten = node("Flatten", ["x"], ["y"]);
  const taken = async (...shape: number[]): Promise<number[]> => {
    const network = await importOnnx(
      file({ nodes: [flatten], takes: value("x", ["b", ...shape]) }),
    );
    return of((x) => network.logits(x), [1, 2, 2, 1]);
  };
  assert.deepEqual(await taken(2, 2, 1), [0.1, 0.9, 0.4, 0.2]);
  assert.deepEqual(await taken(2, 1, 2).catch((error) => error instanceof UserError), true);
  const network = await importOnnx(file({ nodes: [flatten], takes: value("x", ["b", 2, 2, 1]) }));
  assert.deepEqual(of((x) => network.logits(x), [1, 1, 2, 2]), [0.1, 0.9, 0.4, 0.2]);
});

Deno.test("features are what the last linear layer takes, and neither attention's nor a convolution's", async () => {
  const arrays = [
    floats("w", [4, 2], 1, 0, 0, 1, 1, 0, 0, 1),
    floats("k", [2, 1, 1, 1], 1, 2),
    ints("sides", 0, 2, 2),
    ints("four", 0, 4),
    ints("image", 0, 1, 1, 2),
  ];
  const product = node("MatMul", ["z", "w"], ["h"]);
  const attention = [
    flat,
    product,
    node("Reshape", ["x", "sides"], ["s"]),
    node("MatMul", ["s", "s"], ["a"]),
    node("Reshape", ["a", "four"], ["y"]),
  ];
  const featuresOf = async (nodes: readonly Part<"Node">[], choices = {}): Promise<unknown> => {
    const network = await importOnnx(file({ nodes, arrays }), choices);
    of((x) => network.logits(x));
    return network.features && of(network.features);
  };
  assert.deepEqual(await featuresOf([flat, node("MatMul", ["z", "w"], ["y"])]), images);
  assert.deepEqual(await featuresOf(attention), undefined);
  const head = [flat, product, node("Reshape", ["h", "image"], ["i"])];
  const classified = [...head, node("Conv", ["i", "k"], ["y"])];
  assert.deepEqual(await featuresOf(classified), undefined);
  assert.deepEqual(await featuresOf(classified, { features: "z" }), images);
  // A layer of columns: its logits are of use although what it takes is no row an image.
  const columns = [
    flat,
    node("Transpose", ["z"], ["t"]),
    node("Gemm", ["t", "w"], ["y"], { transA: 1 }),
  ];
  assert.deepEqual(await featuresOf(columns), undefined);
  await assert.rejects(
    async () =>
      (await importOnnx(file({ nodes: columns, arrays }))).features?.(input([2, 1, 2, 2])),
    /what its last linear layer takes is no row an image; name another value by --features/,
  );
});

Deno.test("an operator is none for having the name of what every object has", async () => {
  for (const op of ["constructor", "toString", "__proto__"]) {
    await refuses(
      { nodes: [node(op, ["x"], ["y"])] },
      new RegExp(`there is no rule for ${op} \\(`),
    );
  }
});

Deno.test("a name is a value's before it is a node's", async () => {
  const nodes = [
    { ...node("Neg", ["x"], ["n"]), name: "logits" },
    node("Flatten", ["x"], ["logits"]),
    node("Flatten", ["n"], ["y"]),
  ];
  assert.deepEqual(await logitsOf({ nodes }, { output: "logits" }), images);
});

Deno.test("a network that ends in one number of all images is refused in a sentence", () =>
  refuses(
    { nodes: [node("ReduceSum", ["x"], ["y"], { keepdims: 0 })] },
    /Cannot take "y" for the logits: it is no row an image but \[\] of 2 images/,
  ));

Deno.test("an input that no images go to is refused as that", async () => {
  const graph = {
    input: [value("x", ["b", 4]), value("t", [1])],
    output: [{ name: "y" }],
    node: [node("Div", ["x", "t"], ["y"])],
  };
  const network = await importOnnx(writeGraph(graph), { input: "x" });
  assert.throws(
    () => of((x) => network.logits(x)),
    /it reads the input "t", which no images are given to; export the model with its value inside/,
  );
});

Deno.test("an answer to every pixel is none to an image: such a network has no classes", async () => {
  const map = await importOnnx(file({ nodes: [node("Neg", ["x"], ["y"])] }));
  assert.throws(
    () => map.classes([1, 2, 2]),
    /it gives numbers of shape \[1, 1, 2, 2\] an image; name an output of one row of 2 or more/,
  );
  const row = await importOnnx(file({ nodes: [node("Flatten", ["x"], ["y"])] }));
  assert.equal(row.classes([1, 2, 2]), 4);
});

const perChannel = [1, 2, 3, 4].map((n) => floats(`m${n}`, [1], n / 4));
const refusals: readonly (readonly [what: string, Written, RegExp])[] = [
  [
    "moments of the batch, until opset 13",
    {
      nodes: [
        node("BatchNormalization", ["x", "m1", "m2", "m3", "m4"], ["y", "mean", "var"]),
      ],
      arrays: perChannel,
      opset: 12,
    },
    /BatchNormalization_0": it is in training mode/,
  ],
  [
    "norms over no axes",
    { nodes: [node("ReduceL2", ["x"], ["y"], { noop_with_empty_axes: 1 })], opset: 18 },
    /"ReduceL2_0": it reduces no axes/,
  ],
  [
    "parts that are not equal, until opset 17",
    {
      nodes: [
        flat,
        node("Concat", ["z", "z"], ["t"], { axis: 1 }),
        node("Split", ["t"], ["y", "b", "c"], { axis: 1 }),
      ],
      opset: 13,
    },
    /"Split_2": it cuts 8 into 3, 3, 2/,
  ],
  [
    "a shape that does not stretch",
    { nodes: [flat, node("Expand", ["z", "s"], ["y"])], arrays: [ints("s", 1, 3)] },
    /"Expand_1": it makes \[1, 3\] of \[2, 4\]/,
  ],
  [
    "groups that do not fit the channels",
    {
      nodes: [
        node("Reshape", ["x", "s"], ["z"]),
        node("GroupNormalization", ["z", "m", "m"], ["y"], { num_groups: 2 }),
      ],
      arrays: [ints("s", -1, 1, 4), floats("m", [1], 1)],
      opset: 21,
    },
    /it makes 2 groups of 1 channels/,
  ],
  [
    "a place of a shape that is not there",
    { nodes: [node("Reshape", ["x", "s"], ["y"])], arrays: [ints("s", 0, 4, 1, 1, 0)] },
    /Reshape node "Reshape_0"/,
  ],
  [
    "an axis that is named twice",
    { nodes: [node("Unsqueeze", ["x", "a"], ["y"])], arrays: [ints("a", 1, 1)] },
    /it names an axis twice/,
  ],
  [
    "cuts of which one has no end",
    {
      nodes: [node("Slice", ["x", "s", "e", "a"], ["y"])],
      arrays: [ints("s", 0, 0), ints("e", 1), ints("a", 2, 3)],
    },
    /it cuts 2, 1, 2, 2 axes/,
  ],
  [
    "a way that ONNX does not have",
    { nodes: [node("Gelu", ["x"], ["y"], { approximate: "erf" })], opset: 20 },
    /its approximate is erf/,
  ],
  [
    "an order that ONNX does not have",
    { nodes: [node("DepthToSpace", ["x"], ["y"], { blocksize: 1, mode: "RCD" })] },
    /its mode is RCD/,
  ],
  [
    "strides of one axis for images",
    {
      nodes: [node("MaxPool", ["x"], ["y"], { kernel_shape: [1, 1], strides: [2] })],
    },
    /its strides are 1, of 2 axes/,
  ],
  [
    "filters of signals for images",
    { nodes: [node("Conv", ["x", "w"], ["y"])], arrays: [floats("w", [1, 1, 1], 1)] },
    /its weights have other axes than its input/,
  ],
];

Deno.test("whole numbers are not computed with as floats", async () => {
  const count = 2 ** 20 + 1;
  const arrays = [
    tensor("many", "uint8", [count], Array<number>(count).fill(3)),
    tensor("two", "uint8", [1], [2]),
    tensor("few", "uint8", [2], [2, 3]),
  ];
  const rest = [
    node("Cast", ["whole"], ["factors"], { to: 1 }),
    node("ReduceMax", ["factors"], ["factor"]),
    node("Mul", ["x", "factor"], ["y"]),
  ];
  for (
    const first of [
      node("Div", ["many", "two"], ["whole"]),
      node("Sub", ["two", "many"], ["whole"]),
      node("ReduceMean", ["few"], ["whole"]),
    ]
  ) {
    await refuses(
      { nodes: [first, ...rest], arrays },
      /it computes with whole numbers, and not on/,
    );
  }
});

Deno.test("the slope below 0 is a leaky function's derivative at 0, as in PyTorch", async () => {
  const arrays = [floats("slope", [1], 0.25)];
  for (const nodes of [[node("PRelu", ["x", "slope"], ["y"])], [node("LeakyRelu", ["x"], ["y"])]]) {
    const network = await importOnnx(file({ nodes, arrays }));
    const x = input([1, 1, 2, 2]);
    const [slopes] = grad(sum(network.logits(x)), [x]);
    assert.ok(slopes);
    const [found = []] = evaluate([slopes], new Map([[x, [-1, 0, 0, 1]]]));
    const below = nodes[0]?.opType === "PRelu" ? 0.25 : 0.01;
    assert.deepEqual(Array.from(found), [below, below, below, 1]);
  }
});

for (const [what, written, state] of refusals) {
  Deno.test(`a node is refused for ${what}`, () => refuses(written, state));
}

Deno.test("a product with a single class takes a bias without axes", async () => {
  const arrays = [floats("w", [4, 1], 1, 1, 1, 1), tensor("c", "float32", [], [0.5])];
  const nodes = [flat, node("Gemm", ["z", "w", "c"], ["y"])];
  assert.deepEqual(await logitsOf({ nodes, arrays }), [2.1, 2.8]);
});

Deno.test("an exponent of more axes gives its result as many", async () => {
  const arrays = [floats("p", [1, 1, 1], 2), ints("s", 1)];
  const nodes = [
    flat,
    node("Pow", ["z", "p"], ["q"]),
    // [1, 2, 4]: only with the axis in front is there anything to be taken away here.
    node("ReduceSum", ["q", "s"], ["sums"], { keepdims: 0 }),
    node("Sub", ["z", "sums"], ["y"]),
  ];
  const sums = [0, 1, 2, 3].map((i) => (images[i] ?? 0) ** 2 + (images[i + 4] ?? 0) ** 2);
  const right = images.map((v, i) => Number((v - (sums[i % 4] ?? 0)).toFixed(6)) + 0);
  assert.deepEqual(await logitsOf({ nodes, arrays }), right);
});
