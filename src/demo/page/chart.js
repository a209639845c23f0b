const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;
/** Below this every delay is small, and the chart must not make it look large. */
const LEAST_SCALE_MS = 10;

/** A bar for each of the last `most` values; `draw` returns what the full height stands for. */
export function createChart(svg, most) {
  svg.setAttribute("viewBox", `0 0 ${most} ${HEIGHT}`);
  const bars = Array.from({ length: most }, (_, place) => {
    const bar = document.createElementNS(SVG, "rect");
    bar.setAttribute("x", place + 0.15);
    bar.setAttribute("width", 0.7);
    return svg.appendChild(bar);
  });
  return {
    draw(values) {
      const scale = niceCeiling(Math.max(LEAST_SCALE_MS, ...values));
      for (const [place, bar] of bars.entries()) {
        // The newest is at the right.
        const value = values[values.length - most + place];
        const height = value === undefined ? 0 : Math.max(3, (value / scale) * HEIGHT);
        bar.setAttribute("y", HEIGHT - height);
        bar.setAttribute("height", height);
      }
      return scale;
    },
  };
}

/** The next of 10, 20, 50, 100, 200, … */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}
