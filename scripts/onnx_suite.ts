/**
 * `./denow task suite`: every case of ONNX's own suite (Debian's libonnx-testdata), in f64.
 *
 * @module
 */
import { runCase, suiteFolder, suiteParts } from "./onnx_cases.ts";

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
