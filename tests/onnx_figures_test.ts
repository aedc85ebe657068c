/** Imported classifiers under attack: figures of whole sets beside those that PyTorch computed in f64. */
import assert from "node:assert/strict";
import { attackModel, importOnnx, limit, loadMnist, loadNotMnist } from "../mod.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { withDevice } from "./support.ts";

/** The part of expected.json that is compared. */
interface Expected {
  readonly in_domain: {
    readonly accuracy: number;
    readonly brier_mean_over_classes: number;
    readonly nll: number;
  };
  readonly out_domain: Record<string, {
    readonly mean_entropy: number;
    readonly rejection: Record<string, number>;
    readonly auroc: { readonly msp: number; readonly entropy: number };
  }>;
}

function near(
  what: string,
  value: number | null | undefined,
  wanted: number,
  within: number,
): void {
  assert.ok(value !== null && value !== undefined, what);
  assert.ok(Math.abs(value - wanted) <= within, `${what}: ${value}, PyTorch ${wanted}`);
}

for (const name of ["mlp"]) {
  testWithShared(
    `${name}.onnx: accuracy, uncertainty and AUROC, clean and attacked, are PyTorch's`,
    [`reference/onnx/${name}.onnx`, "data/MNIST", "data/notMNIST_small.tar.gz"],
    () =>
      withDevice(async (device) => {
        const all = JSON.parse(await Deno.readTextFile(sharedPath("reference/onnx/expected.json")));
        const expected: Expected = all[name.replace("_bn_gap_bn", "_bn_gap")];
        const data = sharedPath("data");
        const network = await importOnnx(sharedPath(`reference/onnx/${name}.onnx`));
        const savePath = await Deno.makeTempDir();
        const { result } = await attackModel({
          device,
          logits: network.logits,
          name,
          inDomain: limit(await loadMnist(data, "test"), 1000),
          outDomain: await loadNotMnist(data, { perLetter: 50 }),
          epsilon: 0.1,
          batchSize: 500,
          savePath,
        });
        await Deno.remove(savePath, { recursive: true });
        const { inDomain, clean, adversarial, detection } = result;
        assert.ok(inDomain && detection);
        near("accuracy", inDomain.accuracy, expected.in_domain.accuracy, 1e-9);
        near("Brier score", inDomain.brier, expected.in_domain.brier_mean_over_classes, 5e-4);
        near("NLL", inDomain.nll, expected.in_domain.nll, 5e-4);
        for (const [part, uncertainty] of Object.entries({ clean, adversarial })) {
          const wanted = expected.out_domain[part === "clean" ? "clean" : "pgd_eps_0.1"];
          assert.ok(wanted);
          const within = part === "clean" ? 5e-4 : 5e-3;
          near(`${part} entropy`, uncertainty.entropy, wanted.mean_entropy, within);
          for (const tau of [".5", ".7", ".9"]) {
            // One image of 500 may fall on the other side.
            const share = uncertainty.rejection[String(Number(tau)) as "0.5"];
            near(`${part} rejection at ${tau}`, share, wanted.rejection[tau] ?? NaN, 0.0021);
          }
          const scores = detection.scores;
          const of = (score: string): number | null | undefined =>
            scores[score]?.[part === "clean" ? "clean" : "attacked"].auroc.value;
          near(`${part} AUROC of max p`, of("maxProbability"), wanted.auroc.msp, 1.5e-3);
          near(`${part} AUROC of entropy`, of("entropy"), wanted.auroc.entropy, 1.5e-3);
        }
      }),
  );
}
