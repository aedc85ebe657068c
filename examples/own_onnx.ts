/**
 * Your own ONNX file: a classifier of 28x28 digits, trained anywhere, is attacked on letters.
 *
 *     ./denow run --allow-read --allow-write examples/own_onnx.ts model.onnx
 *
 * @module
 */
import { attackModel, importOnnx, loadEmbedded, nn, report, verdict } from "../mod.ts";

const [path = "model.onnx"] = Deno.args;
using device = await nn.openDevice();
const { logits, name, notes } = await importOnnx(path);
for (const note of notes) console.log(note);

const { result, folder } = await attackModel({
  ...{ device, logits, name, epsilon: 0.1 },
  inDomain: await loadEmbedded("test"),
  outDomain: await loadEmbedded("letters"),
});
const { inDomain, clean, adversarial, warnings } = result;
console.log(`${name} gets ${inDomain?.right} of ${inDomain?.count} digits right. Of the letters:`);
console.log("          entropy (nats)  rejected below a confidence of 0.9");
for (const [when, { entropy, rejection }] of Object.entries({ clean, attacked: adversarial })) {
  console.log(
    `${when.padEnd(9)} ${entropy?.toFixed(3).padEnd(15)} ${rejection["0.9"]?.toFixed(3)}`,
  );
}
console.log(verdict(result));
for (const warning of warnings) console.log(`Warning: ${warning}`);

await Deno.writeTextFile(`${folder}/report.html`, await report([folder]));
console.log(`The page is ${folder}/report.html`);
