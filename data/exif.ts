/**
 * How a photograph is to be turned, as its camera wrote it down (EXIF 2.3, tag 0x0112).
 *
 * @module
 */

const orientationTag = 0x0112;
/** The type of a 16-bit number. */
const short = 3;

/**
 * EXIF's number of how an image is to be turned, 1 (as it is) to 8; 1 where the block does not say it.
 *
 * @param block what follows `Exif\0\0` in a JPEG, or a PNG's chunk `eXIf`
 */
export function orientationIn(block: Uint8Array): number {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  if (block.length < 14) return 1;
  const order = view.getUint16(0);
  const little = order === 0x4949;
  if (!little && order !== 0x4d4d || view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > block.length) return 1;
  const count = view.getUint16(directory, little);
  for (let i = 0; i < count; i++) {
    const at = directory + 2 + 12 * i;
    if (at + 12 > block.length) return 1;
    if (view.getUint16(at, little) !== orientationTag) continue;
    const value = view.getUint16(at + 8, little);
    return view.getUint16(at + 2, little) === short && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
