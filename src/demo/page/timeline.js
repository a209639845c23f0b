import { SHOWN_MS } from "./lane.js";

const LANE_PX = 56;
const TOP_PX = 8;
const DOT_PX = 4;
const TICK_PX = 2;
const STILL_EVERY_MS = 1_000;

/**
 * Draws the last seconds, with the present at the right: for each technique its requests as bars, and each event as a dot
 * at its arrival, with a line back to the time at which the backend sent it. The line's length is the delay.
 */
export class Timeline {
  #canvas;
  #pen;
  #lanes;
  #isStopped = false;

  constructor(canvas, lanes) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d");
    this.#lanes = lanes;
    this.#next();
  }

  stop() {
    this.#isStopped = true;
  }

  /** Draws with every frame of the screen, or once a second if the user prefers reduced motion. */
  #next() {
    if (this.#isStopped) return;
    this.#draw(Date.now());
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (isStill) setTimeout(() => this.#next(), STILL_EVERY_MS);
    else requestAnimationFrame(() => this.#next());
  }

  #draw(now) {
    const { width, height } = this.#fit();
    const colours = getComputedStyle(this.#canvas);
    const paint = Object.fromEntries(
      ["line", "water", "water-soft", "soft", "warn"].map((name) => [
        name,
        colours.getPropertyValue(`--${name}`),
      ]),
    );
    const pen = this.#pen;
    pen.clearRect(0, 0, width, height);
    const x = (at) => width - ((now - at) / SHOWN_MS) * width;
    for (const [place, lane] of this.#lanes.entries()) {
      lane.forget(now - SHOWN_MS);
      this.#drawLane({ lane, x, paint, width, y: TOP_PX + place * LANE_PX + LANE_PX / 2 }, now);
    }
  }

  #drawLane({ lane, x, y, paint, width }, now) {
    const pen = this.#pen;
    pen.fillStyle = paint.line;
    pen.fillRect(0, y + 10, width, 1);
    for (const { from, until, events } of lane.requests) {
      const left = Math.max(0, x(from));
      const right = x(until ?? now) - 1;
      const isTick = right - left < TICK_PX;
      // A poll that is answered at once is a thin line, which would be invisible in the soft colour of the long bars.
      if (until !== undefined && events === 0) pen.fillStyle = paint.warn;
      else pen.fillStyle = isTick ? paint.water : paint["water-soft"];
      pen.fillRect(left, y + 4, isTick ? TICK_PX : right - left, 12);
    }
    for (const { sentAt, at } of lane.arrivals) {
      pen.strokeStyle = paint.soft;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(x(sentAt), y - 10);
      pen.lineTo(x(at), y - 10);
      pen.stroke();
      pen.fillStyle = paint.water;
      pen.beginPath();
      pen.arc(x(at), y - 10, DOT_PX, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  /** Fits the canvas to its size and to the screen's pixel ratio, so that lines are sharp. */
  #fit() {
    const ratio = devicePixelRatio;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== wide || this.#canvas.height !== high) {
      this.#canvas.width = wide;
      this.#canvas.height = high;
    }
    this.#pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { width, height };
  }
}
