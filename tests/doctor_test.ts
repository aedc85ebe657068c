/** What there is to work with, by subprocess: data sets, the GPU, and every kernel on it. */
import assert from "node:assert/strict";
import { dataResultSchema } from "../src/cli/data.ts";
import { doctorResultSchema } from "../src/cli/doctor.ts";
import { writeArchive } from "./data_support.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

/** Files of src/shaders, each of them a kernel. */
const kernelFiles = [...Deno.readDirSync(new URL("../src/shaders", import.meta.url))]
  .filter(({ name }) => name.endsWith(".wgsl")).length;

Deno.test("`data` and `doctor` print valid documents, and say of a usable part what it is and how to have all", () =>
  inFolder(async (cwd) => {
    await writeArchive(cwd);
    const note = "a usable part, 30 of the 10000 images that the paper uses: run " +
      "./denow task data notmnist for all";
    const args = ["--json", "--data-path", cwd];
    const data = await task("data", args, { cwd });
    assert.equal(data.code, 0, data.stderr);
    const { sets } = dataResultSchema.parse(JSON.parse(data.stdout));
    assert.ok(sets.some(({ name, count }) => name.startsWith("embedded") && count > 0));
    const set = sets.find(({ name }) => name === "notMNIST");
    assert.deepEqual([set?.checksum, set?.note.startsWith(note)], ["differs", true], set?.note);

    const doctor = await task("doctor", args, { cwd });
    const { healthy, kernels, checks } = doctorResultSchema.parse(JSON.parse(doctor.stdout));
    assert.ok(healthy, JSON.stringify(checks));
    assert.equal(doctor.code, 0);
    assert.equal(kernels.length, kernelFiles);
    const { state, found = "", remedy } = checks.find(({ what }) => what === "notMNIST") ?? {};
    assert.deepEqual([state, remedy], ["ok", ""]);
    assert.ok(found.startsWith(`30 images; ${note}`), found);
  }));

Deno.test("`data` and `doctor` print tables of 80 columns at most; doctor counts its kernels", () =>
  inFolder(async (cwd) => {
    const long = ["--data-path", "a/path/that/is/rather/long/for/a/table/of/eighty/columns"];
    for (const command of ["data", "doctor"]) {
      const { code, stdout, stderr } = await task(command, long, { cwd });
      assert.equal(code, 0, stderr);
      const table = stdout.split("\n").filter((line) => /^[│┌├└]/.test(line));
      assert.ok(table.length > 5 && table.every((line) => line.length <= 80), stdout);
      if (command === "doctor") {
        assert.ok(stderr.includes(`100% | ${kernelFiles}/${kernelFiles} kernels`));
      }
    }
  }));
