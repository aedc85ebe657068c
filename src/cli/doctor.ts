/**
 * `mirage doctor`: can runs work here, and if not, what to do about it.
 *
 * @module
 */
import Table from "cli-table3";
import { z } from "zod";
import { describeData } from "../../data/mod.ts";
import { UserError } from "../base/errors.ts";
import { type Device, openDevice, useTuning } from "../nn/mod.ts";
import { runKernel } from "../nn/check/run_kernel.ts";
import { kernels as tested, selfTest } from "../nn/check/self_test.ts";
import { versions } from "../base/version.ts";
import type { Reporter } from "../base/reporter.ts";

/** What `doctor --json` prints. */
export const doctorResultSchema = z.strictObject({
  schema: z.literal("mirage/doctor@1"),
  /** Whether runs can work here. */
  healthy: z.boolean(),
  checks: z.array(z.strictObject({
    what: z.string(),
    found: z.string(),
    /** "absent" is what a run can do without; "broken" keeps runs from working. */
    state: z.enum(["ok", "absent", "broken"]),
    /** What to do about it; empty where nothing is to be done. */
    remedy: z.string(),
  })),
  kernels: z.array(z.strictObject({
    kernel: z.string(),
    cases: z.int(),
    /** Largest deviation from the f64 reference, relative above 1; null where it did not run. */
    worst: z.number().nullable(),
    ok: z.boolean(),
    failure: z.string().optional(),
  })),
  versions: z.strictObject({ mirage: z.string(), deno: z.string(), v8: z.string() }),
});

/** See {@linkcode doctorResultSchema}. */
export type DoctorResult = z.infer<typeof doctorResultSchema>;

type Check = DoctorResult["checks"][number];

/** Smallest limits that every kernel is written for: WebGPU's defaults. */
const neededLimits = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupsPerDimension: 65535,
} as const;

/** Looks at everything a run needs. Never throws for what it finds. */
export async function doctor(dataPath: string, reporter: Reporter): Promise<DoctorResult> {
  const checks: Check[] = [denoCheck()];
  const kernels: DoctorResult["kernels"] = [];
  try {
    using device = await openDevice(reporter);
    await useTuning(device);
    checks.push(...deviceChecks(device));
    const bar = reporter.progress("self-test", tested.size, "kernels");
    let done = 0;
    const rows = await selfTest(device, runKernel, () => bar.update(++done));
    bar.stop();
    for (const { worst, ...row } of rows) {
      kernels.push({ ...row, worst: Number.isFinite(worst) ? worst : null });
    }
    const broken = rows.filter(({ ok }) => !ok).map(({ kernel }) => kernel);
    checks.push({
      what: "kernels",
      found: broken.length === 0
        ? `all ${rows.length} agree with the f64 reference`
        : `${broken.join(", ")} deviate from the f64 reference`,
      state: broken.length === 0 ? "ok" : "broken",
      remedy: broken.length === 0 ? "" : "update the GPU's driver, or use another adapter",
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [state = "", remedy = ""] = error.message.split(/; (.*)/s);
    checks.push({ what: "GPU", found: state, state: "broken", remedy });
  }
  checks.push(...await dataChecks(dataPath));
  return doctorResultSchema.parse({
    schema: "mirage/doctor@1",
    healthy: checks.every(({ state }) => state !== "broken"),
    checks,
    kernels,
    versions: versions(),
  });
}

/** As tables and advice. */
export function showDoctor({ healthy, checks, kernels }: DoctorResult): string {
  const style = { head: [], border: [], compact: true };
  const table = new Table({
    head: ["", "", "found"],
    colWidths: [4, 23, 49],
    wordWrap: true,
    style,
  });
  const marks = { ok: "ok", absent: "-", broken: "NO" } as const;
  for (const { what, found, state } of checks) table.push([marks[state], what, found]);
  const tests = new Table({
    head: ["kernel", "cases", "largest deviation", ""],
    colAligns: ["left", "right", "right", "left"],
    style,
  });
  for (const { kernel, cases, worst, ok } of kernels) {
    tests.push([kernel, cases, worst?.toExponential(1) ?? "did not run", ok ? "ok" : "NO"]);
  }
  const failures = kernels.flatMap(({ kernel, failure }) =>
    failure === undefined ? [] : [`kernel ${kernel}: ${failure}`]
  );
  const advice = Map.groupBy(checks.filter(({ remedy }) => remedy !== ""), ({ remedy }) => remedy);
  return [
    table.toString(),
    ...(kernels.length > 0 ? [tests.toString()] : []),
    ...failures,
    ...[...advice].map(([remedy, about]) => `${about.map((c) => c.what).join(", ")}: ${remedy}`),
    healthy ? "Mirage can run here." : "Mirage cannot run here yet.",
  ].join("\n");
}

function denoCheck(): Check {
  const { deno } = versions();
  const [major = 0, minor = 0] = deno.split(".").map(Number);
  const ok = major > 2 || (major === 2 && minor >= 9);
  const remedy = ok ? "" : "update Deno to 2.9 or later, or start Mirage by ./denow";
  return { what: "Deno", found: deno, state: ok ? "ok" : "broken", remedy };
}

function deviceChecks({ adapter, limits, hasTimestamps, tiles }: Device): Check[] {
  const name = adapter.description || adapter.device || adapter.vendor || "unnamed";
  const low = Object.entries(neededLimits).filter(([limit, needed]) =>
    (limits[limit as keyof typeof neededLimits] ?? 0) < needed
  );
  return [
    {
      what: "GPU",
      found: adapter.software ? `${name}, a software driver` : name,
      state: "ok",
      remedy: adapter.software
        ? "everything works on the software driver; a hardware GPU and its Vulkan, Metal or DX12 " +
          "driver make it faster"
        : "",
    },
    {
      what: "limits",
      found: low.length === 0
        ? `as needed; one binding may have ${
          (limits.maxStorageBufferBindingSize / 2 ** 20).toFixed(0)
        } MiB`
        : low.map(([limit, needed]) => `${limit} is below ${needed}`).join(", "),
      state: low.length === 0 ? "ok" : "broken",
      remedy: low.length === 0 ? "" : "update the GPU's driver, or use another adapter",
    },
    {
      what: "features",
      found: hasTimestamps ? "timestamp-query (kernels can be timed)" : "no timestamp-query",
      state: hasTimestamps ? "ok" : "absent",
      remedy: "",
    },
    {
      what: "tiles",
      found: `convolutions by the profile "${tiles.name}"`,
      state: "ok",
      remedy: "",
    },
  ];
}

async function dataChecks(dataPath: string): Promise<Check[]> {
  const sets = await describeData(dataPath);
  return sets.map(({ name, present, count, checksum, path, note }) => {
    const embedded = name.startsWith("embedded");
    const damaged = present && count === 0;
    // Of what can be used, the note says what its checksum means.
    const told = checksum === "right"
      ? ["checksum right"]
      : checksum === "differs" && damaged
      ? ["checksum differs"]
      : [];
    return {
      what: name,
      found: present
        ? [`${count} images`, ...told, note].filter(Boolean).join("; ")
        : `not in ${path}`,
      state: damaged || (embedded && !present) ? "broken" : present ? "ok" : "absent",
      // The note of what is absent, a part or another says how to have it.
      remedy: damaged ? "delete the file and download it again" : "",
    };
  });
}
