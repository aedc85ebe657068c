/**
 * Your own images: LeNet is taught digits and attacked with a folder of PNG and JPEG files, of any size.
 *
 *     ./denow run --allow-read --allow-write examples/own_folder.ts ./my_images
 *
 * @module
 */
import { attack, runConfig, silent, verdict } from "../mod.ts";

const [folder = "./my_images"] = Deno.args;
const quick = Deno.args.includes("--quick"); // a minute's look; the figures mean nothing then
const config = runConfig({
  mode: "baseline",
  outDomain: `${folder}/`, // what has a slash is a path, and no set's name
  resize: true,
  epochs: quick ? 1 : 10,
  ...(quick ? { limit: 64 } : {}),
});
// Notes tell what was done to the images, and which files were left out.
const note = (message: string): void => console.error(message);
const result = await attack(config, { ...silent, note });

const { outDomain: { name, count, skipped }, clean, adversarial, warnings } = result;
console.log(`${name}: ${count} images used, files left out: ${skipped}`);
console.log("          entropy (nats)  rejected below a confidence of 0.9");
for (const [when, { entropy, rejection }] of Object.entries({ clean, attacked: adversarial })) {
  console.log(
    `${when.padEnd(9)} ${entropy?.toFixed(3).padEnd(15)} ${rejection["0.9"]?.toFixed(3)}`,
  );
}
console.log(verdict(result));
for (const warning of warnings) console.log(`Warning: ${warning}`);
