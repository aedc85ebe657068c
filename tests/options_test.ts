/** What methods declare is all there is to say: flags, help, checks and records follow from it. */
import assert from "node:assert/strict";
import { parse } from "@optique/core/parser";
import { formatMessage } from "@optique/core/message";
import { commands } from "../src/cli/commands.ts";
import { flagFrom, flagOf } from "../src/cli/flags.ts";
import {
  differenceEntry,
  hyperparameterEntry,
  optionEntries,
  runConfig,
} from "../src/experiment/config.ts";
import {
  hyperparameterNames,
  type Method,
  methods,
  type Network,
  networkOf,
  networks,
  ownOf,
  settledHyperparameters,
} from "../src/methods/mod.ts";
import { type Own, together } from "../src/methods/options.ts";
import { protocolOptionNames, protocolOptionsOf } from "../src/methods/protocol.ts";

for (const [mode, method] of Object.entries<Method>(methods)) {
  Deno.test(`every option of ${mode} has a flag, an entry with its range, and a text`, () => {
    const all = { ...method.hyperparameters, ...method.differences };
    for (const [name, option] of Object.entries(all)) {
      const entry = Object.entries(optionEntries).find(([key]) => key === name)?.[1];
      assert.ok(entry, name);
      assert.match(entry.description ?? "", /^[A-Z].{10,120}[^.]$/, name);
      assert.ok(entry.description?.startsWith(option.about), name);
      const [good, bad] = "values" in option
        ? [option.values, ["no such value"]]
        : [[option.min, option.max ?? 1000], [
          option.min - 1,
          ...option.max ? [option.max + 1] : [],
        ]];
      for (const value of good) {
        assert.equal(entry.safeParse(value).success, true, `${name} ${value}`);
        const parsed = parse(commands.attack, ["attack", flagOf(name), String(value)]);
        assert.ok(parsed.success, `${name} ${value}`);
        assert.equal(Object.entries(parsed.value).find(([key]) => key === name)?.[1], value);
      }
      for (const value of bad) {
        assert.equal(entry.safeParse(value).success, false, `${name} ${value}`);
        const parsed = parse(commands.attack, ["attack", `${flagOf(name)}=${value}`]);
        assert.equal(parsed.success, false, `${name} ${value}`);
      }
    }
  });

  Deno.test(`hyper-parameters of ${mode} are settled, within their ranges, for every network`, () => {
    for (const model of method.models) {
      for (const purpose of ["train", "use"] as const) {
        const values = settledHyperparameters({}, networkOf(model), purpose);
        assert.deepEqual(Object.keys(values), hyperparameterNames);
        const network = networkOf(model);
        const own = ownOf(method, network, values);
        assert.deepEqual(Object.keys(own), [
          ...Object.keys(method.hyperparameters),
          ...Object.keys(network.hyperparameters),
        ]);
        runConfig({ mode: "baseline", ...own });
      }
    }
  });
}

Deno.test("an option keeps its name to itself, and the protocols' stand in the order of documents", () => {
  const names = [...hyperparameterNames, ...protocolOptionNames];
  assert.equal(new Set(names).size, names.length);
  const ofNetworks = Object.values<Network>(networks).flatMap((of) =>
    Object.keys(of.hyperparameters)
  );
  const ofMethods = Object.values<Method>(methods).flatMap((of) => Object.keys(of.hyperparameters));
  assert.deepEqual(ofNetworks.filter((name) => ofMethods.includes(name)), []);
  const order =
    "selection epochOrder batchStatistics kernelArithmetic precision attack stepFactor start keep " +
    "ensembleAttack ensembleMean dueSamples dueAttackSamples dueNoise mean";
  const known = protocolOptionNames.filter((name) => order.split(" ").includes(name));
  assert.equal(known.join(" "), order);
});

/** A method that there is not. */
const madeUp = {
  hyperparameters: {
    temperature: { about: "Temperature of the softmax", min: 0.5, max: 5, default: 2 },
  },
  differences: {
    cooling: {
      about: "The softmax is cooled while training, or not",
      stage: "training",
      values: ["gentle", "none"],
      paper: "gentle",
      corrected: "none",
    },
    coolAttack: {
      about: "Steps of cooling in the attack",
      stage: "attack",
      min: 1,
      max: 9,
      whole: true,
      paper: 1,
      corrected: 2,
    },
  },
} as const satisfies Own;

Deno.test("a method more has its options among the others, with flags, by its declarations alone", () => {
  const options = protocolOptionsOf({ ...methods, made_up: madeUp });
  const names = Object.keys(options);
  assert.equal(names.length, protocolOptionNames.length + 2);
  assert.equal(names[names.indexOf("precision") + 1], "cooling");
  assert.equal(names[names.indexOf("mean") - 1], "coolAttack");
  assert.deepEqual(options["cooling"]?.modes, ["made_up"]);
  assert.deepEqual(names.filter((name) => !(name in madeUp.differences)), protocolOptionNames);

  const { temperature } = together({ made_up: madeUp }, (own) => own.hyperparameters);
  assert.ok(temperature && options["coolAttack"]);
  const warm = flagFrom("temperature", hyperparameterEntry(temperature.option));
  const cool = flagFrom("coolAttack", differenceEntry(options["coolAttack"]));
  const value = (flag: typeof warm, ...args: string[]): unknown => {
    const parsed = parse(flag, args);
    return parsed.success ? parsed.value : formatMessage(parsed.error);
  };
  assert.equal(value(warm, "--temperature", "0.5"), 0.5);
  assert.equal(value(warm), undefined);
  assert.match(String(value(warm, "--temperature", "6")), /5/);
  assert.equal(value(cool, "--cool-attack", "9"), 9);
  assert.match(String(value(cool, "--cool-attack", "1.5")), /whole|integer/i);
  const [entry] = warm.getDocFragments({ kind: "unavailable" }).fragments;
  assert.equal(
    entry?.type === "entry" ? formatMessage(entry.description ?? []) : "",
    "Temperature of the softmax, 0.5 to 5 [what was trained, else 2]",
  );
});

Deno.test("one name for two things is an error", () => {
  const { coolAttack } = madeUp.differences;
  const other = { hyperparameters: {}, differences: { coolAttack: { ...coolAttack, paper: 3 } } };
  assert.throws(() => protocolOptionsOf({ made_up: madeUp, other }), /declare coolAttack/);
  const shared = protocolOptionsOf({ made_up: madeUp, twin: madeUp });
  assert.deepEqual(shared["coolAttack"]?.modes, ["made_up", "twin"]);
});
