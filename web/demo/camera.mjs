/**
 * @file The camera: start, a callback for one frame after the other, stop.
 */

/** What to tell a person for each name of a getUserMedia error.
 * @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: "The camera may not be used. Allow it for this page in the browser's settings, then try again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is in use by another program, or switched off.",
};

export class Camera {
  #video;
  #onFrame;
  #onError;
  /** @type {MediaStream | null} */
  #stream = null;
  #starting = false;

  /**
   * @param {HTMLVideoElement} video  shows the picture, hidden while the camera is off
   * @param {object} handlers
   * @param {(video: HTMLVideoElement) => Promise<void>} handlers.onFrame  the next frame waits for it
   * @param {(error: unknown) => void} handlers.onError  starting failed, or a frame did; in the
   *   latter case it decides whether to `stop`
   */
  constructor(video, { onFrame, onError }) {
    this.#video = video;
    this.#onFrame = onFrame;
    this.#onError = onError;
  }

  get running() {
    return this.#stream !== null;
  }

  /** @returns {Promise<boolean>} whether it runs; if not, `onError` was told why */
  async start() {
    if (this.running || this.#starting) return this.running;
    this.#starting = true;
    try {
      this.#stream = await openCamera();
      this.#video.srcObject = this.#stream;
      this.#video.hidden = false;
      await this.#video.play();
      this.#watch(this.#stream);
    } catch (error) {
      this.stop();
      this.#onError(error);
    } finally {
      this.#starting = false;
    }
    return this.running;
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.#video.srcObject = null;
    this.#video.hidden = true;
  }

  /** @param {MediaStream} stream */
  async #watch(stream) {
    while (this.#stream === stream) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      try {
        if (this.#stream === stream && this.#video.videoWidth > 0) await this.#onFrame(this.#video);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}

async function openCamera() {
  if (!navigator.mediaDevices) throw new Error("The camera needs a page served over HTTPS or from this machine.");
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    throw new Error(REASONS[name] ?? `The camera cannot be used: ${message || name}`, { cause: error });
  }
}
