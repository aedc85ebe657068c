/** Every kernel on the device against the f64 reference, over the table of awkward cases. */
import assert from "node:assert/strict";
import { kernel } from "../src/nn/graph/kernel.ts";
import { reference, referenceKernels } from "../src/nn/check/reference.ts";
import {
  error,
  type KernelCase,
  kernelCases,
  kernels,
  runCase,
  selfTest,
} from "../src/nn/check/self_test.ts";
import { allTextured } from "../src/nn/compile/textured.ts";
import { unroll } from "../src/nn/compile/unroll.ts";
import { runKernel, withDevice } from "./support.ts";

const folder = new URL("../src/shaders/", import.meta.url);
const files = [...Deno.readDirSync(folder)].map((entry) => entry.name)
  .filter((name) => name.endsWith(".wgsl")).map((name) => name.slice(0, -5)).sort();

for (const name of files) {
  Deno.test(`\`${name}.wgsl\` agrees with the f64 reference in every case`, async () => {
    const cases = kernelCases.filter((of) => of.kernel === name);
    assert(cases.length > 0, "No case in the table");
    const failures: string[] = [];
    await withDevice(async (device) => {
      for (const of of cases) {
        const deviation = await runCase(device, runKernel, of);
        if (deviation > of.tolerance) {
          failures.push(`${of.label}: off by ${deviation}, allowed ${of.tolerance}`);
        }
      }
    });
    assert.deepEqual(failures, []);
  });
}

Deno.test("every kernel agrees with the f64 reference when it reads textures instead of buffers", () =>
  withDevice(async (device) => {
    let tried = 0;
    for (const [name, one] of kernels) {
      const cases = kernelCases.filter((of) =>
        of.kernel === name && allTextured(one, of.overrides) !== one
      );
      // Those that read integers, or only textures, are left.
      tried += cases.length > 0 ? 1 : 0;
      for (const of of cases.filter((_, i) => i % Math.ceil(cases.length / 3) === 0)) {
        const deviation = await runCase(device, runKernel, of, true);
        assert.ok(deviation <= of.tolerance, `${name} ${of.label}: off by ${deviation}`);
      }
    }
    assert.ok(tried >= kernels.size - 6, `${tried} of ${kernels.size}`);
  }));

Deno.test("`kernels`, `referenceKernels` and `kernelCases` cover every file of src/shaders", () => {
  assert.deepEqual([...kernels.keys()].sort(), files);
  assert.deepEqual(Object.keys(referenceKernels).sort(), files);
  assert.deepEqual([...new Set(kernelCases.map((of) => of.kernel))].sort(), files);
});

Deno.test("`kernelCases` names every case once", () => {
  const labels = kernelCases.map((of) => `${of.kernel} ${of.label}`);
  assert.deepEqual(labels.filter((label, i) => labels.indexOf(label) !== i), []);
});

Deno.test("`kernelCases` tries every operation and activation that a file names", () => {
  const missing = [...kernels].flatMap(([name, { constants, overrides }]) => {
    const cases = kernelCases.filter((of) => of.kernel === name);
    const tried = new Set(
      cases.flatMap((of) => Object.entries(of.overrides).map(([key, value]) => `${key}_${value}`)),
    );
    const enumerations = [...overrides.keys()].map((key) => `${key}_`);
    return [...constants.keys()].filter((constant) =>
      enumerations.some((prefix) => constant.startsWith(prefix)) &&
      constant !== "ACTIVATION_none" && !tried.has(constant)
    ).map((constant) => `${name} ${constant}`);
  });
  assert.deepEqual(missing, []);
});

Deno.test("every file of src/shaders compiles alone and opens with formula and legend", async () => {
  await withDevice(async ({ gpu }) => {
    const errorsOf = async (code: string): Promise<string[]> => {
      gpu.pushErrorScope("validation");
      const module = gpu.createShaderModule({ code });
      const { messages } = await module.getCompilationInfo();
      await gpu.popErrorScope();
      return messages.filter((m) => m.type === "error").map((m) => m.message);
    };
    assert.notDeepEqual(await errorsOf("fn main() -> f32 { return 1u; }"), []);
    for (const name of files) {
      const source = Deno.readTextFileSync(new URL(`${name}.wgsl`, folder));
      const overrides = [...kernel(name, source).overrides].map((
        [key, value],
      ) => [key, value ?? 1]);
      const code = unroll(source, Object.fromEntries(overrides));
      assert.deepEqual(await errorsOf(code), [], name);
      const [first = "", second = ""] = source.split("\n");
      assert.match(first, /^\/\/ \S/, `${name}: line 1 is no comment`);
      assert.match(second, /^\/\/ \S/, `${name}: line 2 is no comment`);
      assert.equal(kernel(name, source).name, name);
    }
  });
});

Deno.test("every kernel gives the same bits twice, and in a folded grid", async () => {
  await withDevice(async (device) => {
    for (const [name, parsed] of kernels) {
      const largest = kernelCases.filter((of) => of.kernel === name)
        .reduce((a, b) => a.threads >= b.threads ? a : b);
      assert(largest.threads > parsed.workgroup, `${name}: no case of two workgroups`);
      const run = async (width?: number): Promise<Uint32Array> => {
        const { overrides, threads, outputLength } = largest;
        const inputs = largest.inputs();
        const y = await runKernel(
          device,
          parsed,
          inputs,
          overrides,
          threads,
          outputLength,
          width,
        );
        return new Uint32Array(y.buffer);
      };
      const first = await run();
      assert.deepEqual(await run(), first, name);
      assert.deepEqual(await run(1), first, `${name}: one workgroup a row`);
    }
  });
});

Deno.test("`unary.wgsl` reaches the last of more than 65535 workgroups", async () => {
  const n = 64 * 4 * 65535 + 5;
  const folded: KernelCase = {
    kernel: "unary",
    label: `shift of ${n}`,
    overrides: { OP: "shift", P: 1 },
    threads: Math.ceil(n / 4),
    inputs: () => [Float32Array.from({ length: n }, (_, i) => i % 1021)],
    outputLength: n,
    tolerance: 0,
  };
  await withDevice(async (device) => {
    assert.equal(await runCase(device, runKernel, folded), 0);
  });
});

Deno.test("`gather_bytes.wgsl` divides every byte by 255 with correct rounding", async () => {
  const parsed = kernels.get("gather_bytes");
  assert(parsed);
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const inputs = [new Uint32Array(bytes.buffer), Float32Array.of(0)];
  await withDevice(async (device) => {
    const y = await runKernel(device, parsed, inputs, { N: 1, W: 256 }, 64, 256);
    assert.deepEqual([...y], [...bytes].map((byte) => Math.fround(byte / 255)));
  });
});

Deno.test("`selfTest()` passes on this device and reports each kernel once", async () => {
  await withDevice(async (device) => {
    const told: string[] = [];
    const rows = await selfTest(device, runKernel, (row) => told.push(row.kernel));
    assert.deepEqual(rows.filter((row) => !row.ok), []);
    assert.deepEqual(told, rows.map((row) => row.kernel));
    const used = kernelCases.filter(({ profile = "portable" }) =>
      profile === "portable" || device.tiles.name !== "portable"
    );
    const again = new Set(
      used.filter(({ kernel: name, overrides }) => {
        const one = kernels.get(name);
        return device.tiles.textured > 0 && one && allTextured(one, overrides) !== one;
      }).map((of) => of.kernel),
    );
    assert.equal(rows.reduce((sum, row) => sum + row.cases, 0), used.length + again.size);
  });
});

Deno.test("`selfTest()` reports kernels that deviate, and those that do not run", async () => {
  await withDevice(async (device) => {
    const exact: typeof runKernel = (_, of, inputs, overrides, _threads, length) => {
      const [name = ""] = of.name.split(" ");
      if (name === "rbf") return Promise.reject(new Error("Cannot compile"));
      const y = reference(name, inputs.map((x) => new Float64Array(x)), overrides, length, of);
      const last = y[length - 1] ?? NaN;
      if (name === "matmul") y[length - 1] = last + 0.01;
      if (name === "where") y[length - 1] = NaN;
      return Promise.resolve(Float32Array.from(y));
    };
    const rows = await selfTest(device, exact);
    const failed = new Map(rows.filter((row) => !row.ok).map((row) => [row.kernel, row]));
    assert.deepEqual([...failed.keys()].sort(), ["matmul", "rbf", "where"]);
    assert.match(failed.get("rbf")?.failure ?? "", /Cannot compile/);
    assert.match(failed.get("matmul")?.failure ?? "", /off by .* is allowed/);
    assert.equal(failed.get("where")?.worst, Infinity);
  });
});

Deno.test("`error()` is relative above 1, absolute below, infinite at NaN and other lengths", () => {
  assert.equal(error([1, 2], [1, 2]), 0);
  assert.equal(error([0.5], [0.25]), 0.25);
  assert.equal(error([110], [100]), 0.1);
  assert.equal(error([NaN, Infinity], [NaN, Infinity]), 0);
  assert.equal(error([NaN], [1]), Infinity);
  assert.equal(error([1], [NaN]), Infinity);
  assert.equal(error([Infinity], [1]), Infinity);
  assert.equal(error([Infinity], [-Infinity]), Infinity);
  assert.equal(error([1], [1, 2]), Infinity);
});
