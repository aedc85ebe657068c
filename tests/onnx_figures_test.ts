/** Imported classifiers under attack: figures of whole sets beside those that PyTorch computed in f64. */
import assert from "node:assert/strict";
import {
  attackModel,
  type ImageSet,
  imageSet,
  importOnnx,
  limit,
  loadCifar10,
  loadMnist,
  loadNotMnist,
  loadSvhn,
} from "../mod.ts";
import { chosen } from "../src/evaluate/resident_set.ts";
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

/** A file, what it was taught and not, and the radius of its figures. */
interface Net {
  readonly name: string;
  readonly epsilon?: number;
  /** What they are called in expected.json, where not by the file. */
  readonly as?: string;
  readonly sets?: () => Promise<Sets>;
}

interface Sets {
  readonly inDomain: ImageSet;
  readonly outDomain: ImageSet;
}

const data = sharedPath("data");

async function digits(): Promise<Sets> {
  return {
    inDomain: limit(await loadMnist(data, "test"), 1000),
    outDomain: await loadNotMnist(data, { perLetter: 50 }),
  };
}

/** Digits of two classes: below 5, and from 5 on. */
async function halves(): Promise<Sets> {
  const { inDomain, outDomain } = await digits();
  const labels = inDomain.labels.map((label) => Number(label >= 5));
  const classes = ["below 5", "from 5 on"];
  return { inDomain: imageSet({ ...inDomain, labels, classes }), outDomain };
}

async function colours(): Promise<Sets> {
  const rows = Uint32Array.from({ length: 500 }, (_, i) => 20 + i);
  return {
    inDomain: limit(await loadCifar10(data, "test"), 1000),
    outDomain: chosen(await loadSvhn(data), rows),
  };
}

/** Quick ones, and those that take a minute and more, with `MIRAGE_LONG=1`. */
const nets: readonly Net[] = [
  { name: "mlp" },
  { name: "lenet_view" },
  { name: "two_class", sets: halves },
  ...Deno.env.get("MIRAGE_LONG") === "1"
    ? [
      { name: "cnn_bn_gap" },
      { name: "cnn_bn_gap_bn", as: "cnn_bn_gap" },
      { name: "mobile" },
      { name: "modern" },
      { name: "cifar_resnet8", sets: colours, epsilon: 8 / 255 },
    ]
    : [],
];

for (const { name, as = name, sets = digits, epsilon = 0.1 } of nets) {
  testWithShared(
    `${name}.onnx: accuracy, uncertainty and AUROC, clean and attacked, are PyTorch's`,
    [`reference/onnx/${name}.onnx`, "data/MNIST", "data/notMNIST_small.tar.gz"],
    () =>
      withDevice(async (device) => {
        const all = JSON.parse(await Deno.readTextFile(sharedPath("reference/onnx/expected.json")));
        const expected: Expected = all[as];
        const network = await importOnnx(sharedPath(`reference/onnx/${name}.onnx`));
        const savePath = await Deno.makeTempDir();
        const { result } = await attackModel({
          device,
          logits: network.logits,
          name,
          ...await sets(),
          epsilon,
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
          const wanted = expected.out_domain[
            part === "clean" ? "clean" : `pgd_eps_${Number(epsilon.toFixed(5))}`
          ];
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
          near(`${part} AUROC of MSP`, of("maxProbability"), wanted.auroc.msp, 1.5e-3);
          near(`${part} AUROC of entropy`, of("entropy"), wanted.auroc.entropy, 1.5e-3);
        }
      }),
  );
}
