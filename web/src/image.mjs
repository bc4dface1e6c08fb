/**
 * @file Decodes photos to pixels with the browser's own decoders. The engine does all further arithmetic.
 */
import { GossamerError } from "./errors.mjs";

/** @typedef {ImageData | Blob | ImageBitmapSource} ImageSource  what `createImageBitmap` takes */

/** Canvases are limited (16 megapixels on some phones), so that large photos are read strip by strip. */
const STRIP_PIXELS = 4 * 1024 * 1024;

/**
 * Decodes a photo: turned upright as its EXIF orientation says, colour profiles ignored.
 *
 * @param {ImageSource} image
 * @returns {Promise<ImageData>} RGBA, [height][width][4], not premultiplied. Browsers store pictures premultiplied, so
 *   colours under partial transparency are rounded.
 * @throws {GossamerError} "image-unreadable" | "out-of-memory"
 */
export async function decodeImage(image) {
  if (image instanceof ImageData) return image;
  const name = image instanceof File ? image.name : "The picture";
  if (image instanceof Blob && image.size === 0) {
    throw new GossamerError("image-unreadable", `${name} is empty (0 bytes). Choose a picture.`);
  }
  const bitmap = await decode(image, name);
  try {
    return readPixels(bitmap);
  } catch (error) {
    const size = `${bitmap.width} x ${bitmap.height}`;
    throw new GossamerError("out-of-memory", `${name}: no memory for ${size} pixels.`, { cause: error });
  } finally {
    bitmap.close();
  }
}

/** @param {ImageBitmapSource} image @param {string} name */
async function decode(image, name) {
  try {
    // Turning pictures upright is the default of imageOrientation; older browsers refuse that default's name.
    return await createImageBitmap(image, { colorSpaceConversion: "none" });
  } catch (error) {
    throw new GossamerError(
      "image-unreadable",
      `${name} is not a picture that this browser can read. JPEG, PNG and WebP work.`,
      { cause: error },
    );
  }
}

/** @param {ImageBitmap} bitmap */
function readPixels(bitmap) {
  const { width, height } = bitmap;
  const image = new ImageData(width, height);
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP_PIXELS / width)));
  const context = new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas");
  for (let top = 0; top < height; top += rows) {
    const strip = Math.min(rows, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    image.data.set(context.getImageData(0, 0, width, strip).data, 4 * width * top);
  }
  return image;
}
