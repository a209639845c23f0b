const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;
/** The smallest full scale of the chart: smaller delays must not look large. */
const LEAST_SCALE_MS = 10;

/** Creates a chart with a bar for each of the last `most` values; `draw` returns the value of the full height. */
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
        // The newest value is at the right.
        const value = values[values.length - most + place];
        const height = value === undefined ? 0 : Math.max(3, (value / scale) * HEIGHT);
        bar.setAttribute("y", HEIGHT - height);
        bar.setAttribute("height", height);
      }
      return scale;
    },
  };
}

/** Returns the next higher of 10, 20, 50, 100, 200, … */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}
