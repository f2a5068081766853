// The charts: one uPlot each, filled from /api/v1/series, moved by live points. A gap in the data
// is a gap in the line; coarse ranges show the mean with the band from minimum to maximum.

const SECOND = 1000;
const BAND_FROM_STEP_MS = 30000;
const GAP_STEPS = 3;
const MOVES_UP_TO_MS = 6 * 3600 * SECOND;
const TIMEOUT_MS = 20000;
const PERCENT_SPAN = 4;
const SHORTEST_MS = 60 * SECOND;
const PREFIXES = ["", "k", "M", "G", "T", "P"];

const zone = document.body.dataset.zone;
const charts = new Map();

const clock = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });
const secondsClock = clock({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minutesClock = clock({ hour: "2-digit", minute: "2-digit" });
const dayClock = clock({ day: "numeric", month: "short" });
const longClock = clock({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.series = JSON.parse(figure.dataset.series);
    this.unit = figure.dataset.unit;
    this.rangeMs = Number(figure.dataset.rangeMs);
    this.stepMs = Number(figure.dataset.stepMs);
    this.hasBand = this.stepMs >= BAND_FROM_STEP_MS;
    this.box = figure.querySelector(".plot");
    this.note = figure.querySelector("[data-note]");
    this.newest = figure.querySelector(".chart-now");
    this.small = figure.closest(".charts-small") !== null;
    this.gapMs = GAP_STEPS * this.stepMs;
    this.columns = this.hasBand ? [[], [], [], []] : [[], []];
    this.nowMs = 0;
    this.newestMs = 0;
    this.plot = null;
  }

  fill(means, lows, highs, nowMs) {
    this.nowMs = nowMs;
    this.gapMs = GAP_STEPS * Math.max(this.stepMs, medianDistance(means));
    const low = new Map(lows);
    const high = new Map(highs);
    for (const [ts, value] of means) this.push(ts, [value, low.get(ts) ?? value, high.get(ts) ?? value]);
    this.draw();
  }

  push(tsMs, row) {
    const times = this.columns[0];
    const last = times.length ? times[times.length - 1] * SECOND : null;
    if (last !== null && tsMs - last > this.gapMs) this.add((last + 1) / SECOND, [null, null, null]);
    this.add(tsMs / SECOND, row);
  }

  add(ts, row) {
    this.columns[0].push(ts);
    for (let i = 1; i < this.columns.length; i += 1) this.columns[i].push(row[i - 1]);
  }

  append(tsMs, value) {
    if (!this.plot || tsMs < this.newestMs) return;
    this.newestMs = tsMs;
    this.newest.textContent = this.text(value);
    const bucket = Math.floor(tsMs / this.stepMs) * this.stepMs;
    const times = this.columns[0];
    const end = times.length - 1;
    const last = end >= 0 ? Math.round(times[end] * SECOND) : -Infinity;
    if (bucket > last) this.push(bucket, [value, value, value]);
    else if (bucket === last) this.merge(end, value);
  }

  merge(end, value) {
    this.columns[1][end] = value;
    if (!this.hasBand) return;
    this.columns[2][end] = Math.min(this.columns[2][end], value);
    this.columns[3][end] = Math.max(this.columns[3][end], value);
  }

  move(nowMs) {
    this.nowMs = nowMs;
    const from = (nowMs - this.rangeMs) / SECOND;
    let old = 0;
    while (old < this.columns[0].length - 1 && this.columns[0][old + 1] < from) old += 1;
    if (old) for (const column of this.columns) column.splice(0, old);
    if (this.plot) this.plot.setData(this.columns);
    this.tell();
  }

  draw() {
    this.plot?.destroy();
    this.box.replaceChildren();
    this.plot = new window.uPlot(this.options(), this.columns, this.box);
    this.tell();
  }

  resize() {
    if (this.plot) this.plot.setSize({ width: this.box.clientWidth, height: this.box.clientHeight });
  }

  tell() {
    const values = this.columns[1].filter((value) => value !== null);
    if (!values.length) {
      this.note.textContent = "no data in this range";
      return;
    }
    if (!this.newestMs) this.newest.textContent = this.text(values[values.length - 1]);
    if (this.plot?.cursor.idx != null) return;
    const low = (this.hasBand ? this.columns[2] : values).reduce(lower, Infinity);
    const high = (this.hasBand ? this.columns[3] : values).reduce(higher, -Infinity);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    this.note.textContent = this.small
      ? `${this.text(low)} – ${this.text(high)}`
      : `min ${this.text(low)} · mean ${this.text(mean)} · max ${this.text(high)}`;
  }

  // A small chart of a device that has just begun shows what there is, not an empty quarter hour.
  fromMs() {
    const full = this.nowMs - this.rangeMs;
    if (!this.small || !this.columns[0].length) return full;
    return Math.max(full, Math.min(this.columns[0][0] * SECOND, this.nowMs - SHORTEST_MS));
  }

  point(index) {
    const value = index == null ? null : this.columns[1][index];
    if (value == null) return this.tell();
    const at = longClock.format(this.columns[0][index] * SECOND);
    this.note.textContent = `${at}  ${this.text(value)}`;
    return undefined;
  }

  text(value) {
    const number = numberText(value, this.unit);
    return /^B/.test(this.unit) || !this.unit ? number : `${number} ${this.unit}`;
  }

  options() {
    const line = css("--plot");
    const faint = { stroke: css("--muted"), grid: { stroke: css("--grid"), width: 1 }, ticks: { show: false }, font: `11px ${getComputedStyle(document.body).fontFamily}` };
    const edge = { stroke: "transparent", points: { show: false } };
    return {
      width: this.box.clientWidth,
      height: this.box.clientHeight,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      tzDate: (ts) => window.uPlot.tzDate(new Date(ts * SECOND), zone),
      scales: {
        x: { range: () => [this.fromMs() / SECOND, this.nowMs / SECOND] },
        y: { range: (_, low, high) => yRange(low, high, this.unit) },
      },
      axes: [
        { ...faint, size: 24, gap: 4, space: this.small ? 70 : 64, values: timeLabels },
        { ...faint, size: axisSize, gap: 4, space: this.small ? 18 : 32, values: (_, splits) => axisLabels(splits, this.unit) },
      ],
      series: [{}, { stroke: line, width: 1.5, points: { show: false }, spanGaps: false }, ...(this.hasBand ? [edge, edge] : [])],
      bands: this.hasBand ? [{ series: [3, 2], fill: css("--band") }] : [],
      hooks: { setCursor: [(plot) => this.point(plot.cursor.idx)] },
    };
  }
}

const lower = (low, value) => (value === null ? low : Math.min(low, value));
const higher = (high, value) => (value === null ? high : Math.max(high, value));

function medianDistance(points) {
  const distances = points.slice(1).map(([ts], i) => ts - points[i][0]).sort((a, b) => a - b);
  return distances.length ? distances[distances.length >> 1] : 0;
}

function yRange(low, high, unit) {
  if (low == null) return [0, 1];
  if (unit === "%" && low >= 0 && high <= 100) return percentRange(low, high);
  if (high === low) return low === 0 ? [0, 1] : [low - Math.abs(low) * 0.1, low + Math.abs(low) * 0.1];
  const floor = low - (high - low) * 0.1;
  return [low >= 0 && floor < 0 ? 0 : floor, high + (high - low) * 0.1];
}

function percentRange(low, high) {
  const span = Math.max(high - low, PERCENT_SPAN);
  const middle = (low + high) / 2;
  return [Math.max(0, middle - span * 0.65), Math.min(100, middle + span * 0.65)];
}

function timeLabels(_, splits, __, ___, stepS) {
  let day = null;
  return splits.map((ts) => {
    const at = ts * SECOND;
    const date = dayClock.format(at);
    const isNewDay = day !== null && day !== date;
    day = date;
    if (stepS >= 86400) return date;
    return isNewDay && stepS >= 3600 ? date : (stepS < 60 ? secondsClock : minutesClock).format(at);
  });
}

function axisSize(plot, labels) {
  const longest = Math.max(...(labels ?? [""]).map((label) => label.length), 2);
  return Math.ceil(longest * 6.6) + 10;
}

function axisLabels(splits, unit) {
  const largest = Math.max(...splits.map(Math.abs));
  if (unit.startsWith("B")) {
    const [power, prefix] = scale(largest);
    const step = splits.length > 1 ? (splits[1] - splits[0]) / power : 1;
    return splits.map((value) => (value === 0 ? "0" : `${(value / power).toFixed(decimals(step))} ${prefix}`.trim()));
  }
  const digits = splits.length > 1 ? decimals(splits[1] - splits[0]) : 1;
  return splits.map((value) => value.toFixed(digits));
}

function decimals(step) {
  let digits = 0;
  while (digits < 6 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits += 1;
  return digits;
}

function scale(size) {
  let power = 1;
  let index = 0;
  while (size / power >= 1000 && index < PREFIXES.length - 1) {
    power *= 1000;
    index += 1;
  }
  return [power, PREFIXES[index]];
}

function numberText(value, unit) {
  const size = Math.abs(value);
  if (unit.startsWith("B")) {
    const [power, prefix] = scale(size);
    const digits = power === 1 || size / power >= 100 ? 0 : 1;
    return `${(value / power).toFixed(digits)} ${prefix}${unit}`;
  }
  if (unit === "%" || unit === "°C") return value.toFixed(1);
  if (size >= 1000) return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  if (size >= 100) return value.toFixed(1);
  if (size === 0) return "0";
  return size >= 1 ? value.toFixed(2) : value.toPrecision(3);
}

async function readSeries(device, metric, fromMs, toMs, stepMs, agg) {
  const query = new URLSearchParams({ tenant: device[0], device: device[1], from: fromMs, to: toMs, step: stepMs, agg });
  if (metric !== null) query.set("metric", metric);
  const answer = await fetch(`/api/v1/series?${query}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const { series } = await answer.json();
  return new Map(series.map((one) => [one.metric, one.points]));
}

async function load(group, nowMs) {
  const { series, rangeMs, stepMs, hasBand } = group[0];
  const metric = group.length === 1 ? series[2] : null;
  const fromMs = Math.floor((nowMs - rangeMs) / stepMs) * stepMs;
  const read = (agg) => readSeries(series, metric, fromMs, Math.ceil(nowMs) + 1, stepMs, agg);
  const [means, lows, highs] = await Promise.all([read("mean"), hasBand ? read("min") : new Map(), hasBand ? read("max") : new Map()]);
  for (const chart of group) {
    const name = chart.series[2];
    chart.fill(means.get(name) ?? [], lows.get(name) ?? [], highs.get(name) ?? [], nowMs);
  }
}

export async function drawCharts(nowMs) {
  const groups = new Map();
  for (const figure of document.querySelectorAll(".chart")) {
    const chart = new Chart(figure);
    charts.set(chart.series.join("\n"), chart);
    const device = chart.series.slice(0, 2).join("\n");
    groups.set(device, [...(groups.get(device) ?? []), chart]);
  }
  if (!charts.size) return;
  const resized = new ResizeObserver(() => charts.forEach((chart) => chart.resize()));
  charts.forEach((chart) => resized.observe(chart.box));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.draw()));
  for (const group of groups.values()) {
    try {
      await load(group, nowMs);
    } catch {
      group.forEach((chart) => { chart.note.textContent = "the data could not be read; reload the page to try again"; });
    }
  }
}

export function appendPoints(points) {
  for (const [tenant, device, metric, tsMs, value] of points) {
    if (typeof value === "number") charts.get(`${tenant}\n${device}\n${metric}`)?.append(tsMs, value);
  }
}

export function moveCharts(nowMs) {
  if (document.hidden) return;
  for (const chart of charts.values()) {
    if (chart.plot && chart.rangeMs <= MOVES_UP_TO_MS) chart.move(nowMs);
  }
}
