import uPlot from "/page/lib/uplot.js";
import { clock, count, rate } from "./format.js";

const SECONDS = 300;
const NEAR_SECONDS = 3;
/** Half the width of the longest label of a time, in CSS pixels. */
const HALF_LABEL = 30;
/** The smallest top of the scale: with less, a few events would fill the chart. */
const LEAST_TOP = 10;

/** Draws the samples of the last minutes; `note` shows the values under the pointer. */
export function createChart(element, note) {
  const samples = [];
  const resting = note.textContent;
  const chart = new uPlot(
    options(element, (index) => show(index)),
    [[], []],
    element,
  );
  new ResizeObserver(() => chart.setSize(sizeOf(element))).observe(element);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.redraw());

  function show(index) {
    const sample = samples[index];
    note.textContent =
      sample === undefined
        ? resting
        : `${clock(sample.at)}: ${rate(sample.eventsPerSecond)} events a second, ${count(sample.streams)} streams`;
  }

  function draw() {
    const times = samples.map(({ at }) => at / 1000);
    const rates = samples.map(({ eventsPerSecond }) => eventsPerSecond);
    chart.setData([times, rates], false);
    const newest = times.at(-1) ?? Date.now() / 1000;
    chart.batch(() => {
      chart.setScale("x", { min: newest - SECONDS, max: newest });
      chart.setScale("y", { min: 0, max: niceTop(Math.max(LEAST_TOP, ...rates)) });
    });
  }

  draw();
  return {
    /** Replaces all samples. */
    reset(history) {
      samples.splice(0, samples.length, ...history);
      draw();
    },
    add(sample) {
      if (!sample || sample.at <= (samples.at(-1)?.at ?? 0)) return;
      samples.push(sample);
      while (samples.length > SECONDS + 1) samples.shift();
      draw();
    },
  };
}

const sizeOf = ({ clientWidth, clientHeight }) => ({ width: clientWidth, height: clientHeight });

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options(element, onCursor) {
  const font = '12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
  const axis = {
    stroke: () => colour("--soft"),
    font,
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    ...sizeOf(element),
    padding: [8, 0, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { size: 7 },
      // Before the first sample there are no values to show.
      dataIdx: (chart, _, index, time) =>
        Math.abs(chart.data[0][index] - time) < NEAR_SECONDS ? index : null,
    },
    scales: { x: { time: true, auto: false }, y: { auto: false } },
    axes: [
      {
        ...axis,
        space: 90,
        size: 22,
        gap: 6,
        filter: withWholeLabels,
        values: (_, times) => times.map((at) => at && clock(at * 1000)),
      },
      { ...axis, space: 36, size: 56, gap: 8, values: (_, values) => values.map(count) },
    ],
    series: [
      {},
      {
        stroke: () => colour("--water"),
        fill: () => colour("--water-soft"),
        width: 1.5,
        points: { show: false },
      },
    ],
    hooks: { setCursor: [(chart) => onCursor(chart.cursor.idxs?.[1] ?? -1)] },
  };
}

/** Leaves out the times whose label would be cut off at the right edge. */
function withWholeLabels(chart, times) {
  const end = chart.bbox.width / devicePixelRatio - HALF_LABEL;
  return times.map((at) => (chart.valToPos(at, "x") <= end ? at : null));
}

/** Returns the next of 10, 20, 50, 100, 200, … at least 5 % above the value. */
function niceTop(value) {
  const wanted = value * 1.05;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return power * [1, 2, 5, 10].find((step) => step * power >= wanted);
}
