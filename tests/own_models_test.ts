/** Models in a training's folder: held against the training, and made again where they are damaged. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { readSafetensors, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { runConfig } from "../src/experiment/config.ts";
import { UserError } from "../src/base/errors.ts";
import { silent } from "../src/base/reporter.ts";
import { attack } from "../src/experiment/attack.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { train } from "../src/experiment/train.ts";
import { inFolder } from "./support.ts";
import { trained } from "./trained.ts";

Deno.test("a damaged model in a training's folder is never kept or gone on with, and deleting it helps", () =>
  inFolder(async (savePath) => {
    // With next to no learning the first epoch stays the best, else the last one is.
    for (const lr of [0.01, 1e-9]) {
      const options = { mode: "baseline", limit: 20, epochs: 2, lr, savePath } as const;
      const best = await trained(savePath, options);
      const last = best.replace("best.safetensors", "last.safetensors");
      const whole = await Deno.readFile(best);
      const flipped = Uint8Array.from(whole);
      flipped[flipped.length - 3] = (flipped.at(-3) ?? 0) ^ 4;
      const hello = new TextEncoder().encode("hello");
      const damages = [whole.subarray(0, 1000), flipped, hello].map((bytes) => ({
        path: best,
        bytes,
      }));
      const uses = [train, evaluate].map((use) => () => use(runConfig(options)));
      const more = (): Promise<unknown> => train(runConfig({ ...options, epochs: 3 }));
      for (const { path, bytes } of [...damages, { path: last, bytes: new Uint8Array() }]) {
        await Deno.writeFile(path, bytes);
        for (const use of [...uses, more]) {
          await assert.rejects(
            use,
            /^UserError: Cannot read ".*(best|last).safetensors": .*; delete it and run the command again$/,
          );
        }
        await Deno.remove(path);
        await train(runConfig(options));
        assert.equal((await Deno.readFile(best)).toBase64(), whole.toBase64());
      }
    }
  }));

Deno.test("a model in a training's folder that says it is of another training is neither used nor gone on with", () =>
  inFolder(async (savePath) => {
    const options = { mode: "baseline", limit: 20, epochs: 2, savePath } as const;
    const best = await trained(savePath, { epochs: 2 });
    const last = (path: string): string => path.replace("best.", "last.");
    const foreign = join(savePath, "foreign.safetensors");
    const { tensors } = await readSafetensors(best);
    await writeSafetensors(foreign, { tensors, metadata: {} });
    const use = (): Promise<unknown> => attack(runConfig(options));
    const again = [undefined, 3].map((epochs) => () =>
      train(runConfig({ ...options, ...(epochs && { epochs }) }))
    );
    /** Puts a training's files, or the best alone, in the folder's place. */
    const refused = async (
      other: string,
      which: "both" | "best",
      says: RegExp,
      uses: readonly (() => Promise<unknown>)[] = [use],
    ): Promise<void> => {
      const kept = [best, last(best)].map((path) => [path, Deno.readFileSync(path)] as const);
      if (which === "both") await Deno.copyFile(last(other), last(best));
      await Deno.copyFile(other, best);
      for (const use of uses) {
        await assert.rejects(
          use,
          (error) =>
            error instanceof UserError && error.message.length < 300 && says.test(error.message) &&
            /; delete it and run the command again, or name it by --checkpoint$/.test(
              error.message,
            ),
        );
      }
      for (const [path, bytes] of kept) await Deno.writeFile(path, bytes);
    };
    const others = [
      [{ seed: 1 }, /last.safetensors": it says seed 1, asked for was seed 0;/],
      [{ lr: 0.1 }, /it says lr 0.1, asked for was lr 0.01;/],
      [{ limit: 30 }, /it says 30 training images, asked for was 20 training images;/],
      [{ trainBatchSize: 7 }, /it says batchSize 7, /],
      [{ selection: "validation" }, /it says selection validation, asked for was selection test;/],
      [{ mode: "duq" }, /it says family DUQ, asked for was family \S+;/],
    ] as const;
    for (const [changed, says] of others) {
      const all = "seed" in changed ? [use, ...again] : [use];
      await refused(await trained(savePath, { epochs: 2, ...changed }), "both", says, all);
    }
    await refused(await trained(savePath, { epochs: 2, seed: 1 }), "best", /best.*says seed 1,/);
    await refused(foreign, "best", /best.safetensors": Mirage did not write it;/);
    // Of the same training by what it says, but of another history.
    const archive = await readSafetensors(best);
    const history = archive.metadata["history"]?.replace(/"loss":/, '"loss":1');
    const metadata = { ...archive.metadata, history: history ?? "" };
    await writeSafetensors(foreign, { tensors, metadata });
    await refused(foreign, "best", /its epochs are not those of "last.safetensors" beside it/);
  }));

Deno.test("a best model that is missing beside the last one is made again, to the same bytes", () =>
  inFolder(async (savePath) => {
    for (const lr of [0.01, 1e-9]) {
      // With next to no learning the first epoch stays the best, and the training starts afresh.
      const options = { lr, epochs: 2 };
      const best = await trained(savePath, options);
      const bytes = await Deno.readFile(best);
      await Deno.remove(best);
      const config = runConfig({ mode: "baseline", limit: 20, savePath, ...options });
      if (lr < 0.01) {
        // Stopped in its first epoch, it leaves nothing that the new best would not belong to.
        const stopping = { ...silent, record: (): void => assert.fail("stopped") };
        await assert.rejects(train(config, stopping), /stopped/);
        const left = [...Deno.readDirSync(dirname(best))].map(({ name }) => name);
        assert.ok(!left.some((name) => name.endsWith(".safetensors")), `${left}`);
      }
      const { checkpoints } = await evaluate(config);
      assert.deepEqual(checkpoints, [best]);
      assert.equal((await Deno.readFile(best)).toBase64(), bytes.toBase64());
    }
  }));
