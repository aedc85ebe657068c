/**
 * Letters A to J set in many fonts, in notMNIST's manner.
 *
 * @module
 */
import { join } from "node:path";
import opentype from "npm:opentype.js@2.0.0";
import type { FontCut } from "./fonts.ts";
import { type OutlineCommand, rasterize } from "./raster.ts";

/** One font that letters are set in, as fonts.json records it. */
export interface FontRecord extends FontCut {
  readonly family: string;
  /** SPDX identifier. */
  readonly licence: string;
  readonly licenceUrl: string;
  readonly copyright: string;
  /** The letters that the set holds in this font, such as "ABCDEFGHJ". */
  readonly letters: string;
}

/** The letters: equally many of each, all of A first, each letter's in the order of the fonts. */
export interface Letters {
  /** Each [28, 28], 0 (black) to 255 (white). */
  readonly images: readonly Uint8Array[];
  /** 0 for A to 9 for J. */
  readonly labels: readonly number[];
  /** The fonts with at least one letter, in the order of use. */
  readonly fonts: readonly FontRecord[];
}

/** What this program uses of a font that opentype.js has parsed. */
interface ParsedFont {
  readonly unitsPerEm: number;
  charToGlyphIndex(letter: string): number;
  charToGlyph(letter: string): {
    getPath(x: number, y: number, size: number): { readonly commands: OutlineCommand[] };
  };
}

const alphabet = "ABCDEFGHIJ";
const licences = new Set(["OFL-1.1", "Apache-2.0"]);

/**
 * Sets A to J in each cut. Glyphs that are missing, blank or equal to an earlier one are left out
 * (a plain I is one white block in every sans-serif font); letters that are then left with more
 * images than the rarest lose some, spread evenly over the fonts.
 *
 * @param modules path of the node_modules folder that the fonts are in
 */
export async function makeLetters(modules: string, cuts: readonly FontCut[]): Promise<Letters> {
  const fonts = await Promise.all(cuts.map((cut) => openFont(modules, cut)));
  const seen = new Set<string>();
  const drawn = [...alphabet].map((letter) =>
    fonts.flatMap(({ font }, index) => {
      const image = draw(font, letter);
      const key = String(image);
      if (image === undefined || seen.has(key)) return [];
      seen.add(key);
      return [{ image, font: index }];
    })
  );
  const count = Math.min(...drawn.map((images) => images.length));
  const kept = drawn.map((images) => thin(images, count));
  return {
    images: kept.flatMap((images) => images.map(({ image }) => image)),
    labels: kept.flatMap((images, label) => images.map(() => label)),
    fonts: fonts.flatMap(({ record }, index) => {
      const letters = [...alphabet].filter((_, label) =>
        kept[label]?.some(({ font }) => font === index)
      );
      return letters.length === 0 ? [] : [{ ...record, letters: letters.join("") }];
    }),
  };
}

async function openFont(
  modules: string,
  cut: FontCut,
): Promise<{ font: ParsedFont; record: Omit<FontRecord, "letters"> }> {
  const folder = join(modules, cut.package);
  const { id, family, license } = JSON.parse(
    await Deno.readTextFile(join(folder, "metadata.json")),
  );
  if (!licences.has(license.type)) {
    throw new Error(`Cannot use ${cut.package}: its licence is ${license.type}`);
  }
  const file = join(folder, "files", `${id}-latin-${cut.weight}-${cut.style}.woff`);
  const font: ParsedFont = opentype.parse((await Deno.readFile(file)).buffer);
  const record = {
    family,
    ...cut,
    licence: license.type,
    licenceUrl: license.url,
    copyright: license.attribution,
  };
  return { font, record };
}

/** One letter, [28, 28]; `undefined` when the font lacks it or draws nothing. */
function draw(font: ParsedFont, letter: string): Uint8Array | undefined {
  if (font.charToGlyphIndex(letter) === 0) return undefined;
  return rasterize(font.charToGlyph(letter).getPath(0, 0, font.unitsPerEm).commands);
}

/** `count` of the items, evenly spread, in their order. */
function thin<T>(items: readonly T[], count: number): T[] {
  return Array.from(
    { length: count },
    (_, index) => items[Math.floor(index * items.length / count)] as T,
  );
}
