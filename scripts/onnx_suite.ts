/**
 * `./denow task suite`: every case of ONNX's own suite (Debian's libonnx-testdata), in f64; `--torchvision`: nine
 * networks of torchvision's as Debian's python3-torch exports them, beside onnxruntime-web and PyTorch.
 *
 * @module
 */
import { UserError } from "../src/base/errors.ts";
import { openDevice } from "../src/nn/mod.ts";
import { runCase, suiteFolder, suiteParts } from "./onnx_cases.ts";
import { findPython } from "./python.ts";
import {
  compareFile,
  type Comparison,
  exportNetworks,
  type Form,
  forms,
  type NetworkName,
  networkNames,
  show,
} from "./torchvision.ts";

/** Height and width of the images that the networks see. */
const pixels = 64;

async function runSuite(): Promise<void> {
  const states = new Map<string, number>();
  const operators = new Map<string, number>();
  for (const part of suiteParts) {
    const folder = `${suiteFolder}/${part}`;
    for (const { name } of Deno.readDirSync(folder)) {
      const { state, why } = await runCase(folder, name);
      states.set(state, (states.get(state) ?? 0) + 1);
      if (state === "unknown") operators.set(why, (operators.get(why) ?? 0) + 1);
      else if (state !== "right") console.log(`${name}: ${state}, ${why}`);
    }
  }
  console.log([...states].map(([state, count]) => `${count} ${state}`).join(", "));
  console.log(
    `Operators that are not there, by their cases: ${
      [...operators].map(([name, count]) => `${name} ${count}`).join(", ")
    }`,
  );
}

/** A line a network; whether all are right. */
async function runTorchvision(): Promise<boolean> {
  const python = await findPython("torch,torchvision,onnx");
  if (!python) {
    console.log(
      "Cannot export: no python3 has torch, torchvision and onnx; install Debian's " +
        "python3-torch, python3-torchvision and python3-onnx",
    );
    return false;
  }
  using device = await openDevice();
  let isRight = true;
  for (const name of networkNames) {
    const folder = await Deno.makeTempDir();
    try {
      await exportNetworks({ python, folder, names: [name], small: false, size: pixels, forms });
      const found: Comparison[] = [];
      const faults: string[] = [];
      for (const form of forms) {
        try {
          const compared = await compareFile(device, folder, name, form);
          found.push(compared);
          if (compared.fault !== undefined) faults.push(`${shown(form)}: ${compared.fault}`);
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          faults.push(`${shown(form)}: ${error.message}`);
        }
      }
      isRight &&= faults.length === 0;
      console.log([lineOf(name, found), ...faults].join("\n  "));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  return isRight;
}

function shown({ opset, isOpen }: Form): string {
  return `opset ${opset}, a batch of ${isOpen ? "any size" : "one"}`;
}

/** The worst figures of a network's files. */
function lineOf(name: NetworkName, found: readonly Comparison[]): string {
  const worst = (of: (file: Comparison) => number | undefined): string =>
    show(Math.max(...found.map((file) => of(file) ?? 0)));
  const inF64 = found.some(({ exact }) => exact !== undefined)
    ? `, ${worst(({ exact }) => exact)} in f64`
    : "";
  return `${name}: ${found.length} of ${forms.length} files, logits ` +
    `${worst(({ logits }) => logits)} of their range off onnxruntime-web's and ` +
    `${worst(({ logitsOfTorch }) => logitsOfTorch)} off PyTorch's, gradient ` +
    `${worst(({ gradient }) => gradient)}${inF64}`;
}

if (Deno.args.includes("--torchvision")) Deno.exit(await runTorchvision() ? 0 : 1);
await runSuite();
