/** Small images as files, what Pillow reads in them, and arrays of NumPy: see golden/make_images.py. */
import golden from "./golden/images.json" with { type: "json" };

/** An image's file and its pixels [H, W, C], each in base64. */
interface GoldenImage {
  readonly file: string;
  readonly shape: readonly number[];
  readonly pixels: string;
}

/** JPEGs by name; an image of floating-point numbers, and what Pillow makes of it at other sizes. */
export const goldenImages: {
  readonly jpeg: Readonly<Record<string, GoldenImage>>;
  readonly source: readonly (readonly number[])[];
  readonly resized: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>
  >;
  /** Two images of 4x3 as NumPy saves them, [N, H, W, C]; their pixels [N, C, H, W]. */
  readonly arrays: {
    readonly pixels: readonly number[];
    readonly npz: string;
    readonly npy: string;
  };
} = golden;

/** Bytes in base64. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(text);
}
