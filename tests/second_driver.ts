/** A second Vulkan driver to test on, SwiftShader say; what needs one is skipped, and says so, without it. */
import { skipped } from "./shared.ts";

/** Where Chromium's packages put SwiftShader. */
const manifests = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
  "/snap/chromium/current/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
];

/** A driver's manifest: what MIRAGE_SECOND_DRIVER names, none where that is empty, or one that is installed. */
const manifest = Deno.env.get("MIRAGE_SECOND_DRIVER") ?? manifests.find(exists);

/** The environment of a process that is to see this driver alone. */
export const secondDriver: Readonly<Record<string, string>> = {
  DENO_WEBGPU_BACKEND: "vulkan",
  VK_ICD_FILENAMES: manifest ?? "",
  VK_DRIVER_FILES: manifest ?? "",
};

/** `Deno.test` that is skipped, with the reason in its name, where there is no second driver. */
export function testWithSecondDriver(name: string, test: () => Promise<void>): void {
  const reason =
    " (skipped: no second Vulkan driver is installed, and MIRAGE_SECOND_DRIVER names none)";
  const full = manifest ? name : name + reason;
  if (!manifest) skipped.push(full);
  Deno.test({ name: full, ignore: !manifest, fn: test });
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
