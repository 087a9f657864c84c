"use strict";
(() => {
  const data = JSON.parse(document.getElementById("charts").textContent);
  const byId = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const LINE_COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8"];
  const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';

  const element = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const milliseconds = (ms) => {
    if (ms == null) return "–";
    if (ms < 9.995) return ms.toFixed(2) + " ms";
    if (ms < 99.95) return ms.toFixed(1) + " ms";
    return Math.round(ms).toLocaleString("en") + " ms";
  };
  const tick = (ms) => (ms >= 1000 ? ms / 1000 + " s" : ms >= 1 ? ms + " ms" : +(ms * 1000).toPrecision(3) + " µs");

  // --- page furniture ---------------------------------------------------------------------------------------------

  for (const time of document.querySelectorAll("time[data-unix-ms]")) {
    const moment = new Date(Number(time.dataset.unixMs));
    time.textContent = moment.toISOString().replace("T", " ").slice(0, 16) + " UTC";
  }

  for (const button of document.querySelectorAll(".unfold")) {
    const details = button.closest("tr").nextElementSibling;
    const show = (open) => {
      details.hidden = !open;
      button.setAttribute("aria-expanded", String(open));
    };
    button.addEventListener("click", () => show(details.hidden));
    show(false);
  }

  const copyBySelection = (source) => {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand("copy");
  };
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      let copied = false;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        copied = true;
      } catch {
        copied = copyBySelection(button.previousElementSibling);
      }
      button.textContent = copied ? "Copied" : "Press Ctrl+C";
      setTimeout(() => (button.textContent = "Copy"), 1600);
    });
  }

  // --- what both charts share -------------------------------------------------------------------------------------

  const fill = (select, names) => {
    select.replaceChildren(...names.map((name, index) => element("option", { value: index }, name)));
    select.disabled = names.length < 2;
  };

  /** The 1-2-5 numbers from the last one at or below `low` to the first one at or above `high`. */
  const roundNumbers = (low, high) => {
    const numbers = [];
    for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)) + 1; power++) {
      for (const digit of [1, 2, 5]) numbers.push(Number(digit + "e" + power));
    }
    const from = numbers.findLastIndex((number) => number <= low * 1.0001);
    const until = numbers.findIndex((number) => number >= high * 0.9999);
    return numbers.slice(from, until + 1);
  };

  const logScale = {
    distr: 3,
    range: (_, low, high) => {
      if (low == null || high == null) return [1, 100];
      const round = roundNumbers(Math.max(low, 1e-3), Math.max(high, low * 1.5, 2e-3));
      return [round[0], round[round.length - 1]];
    },
  };
  const latencyAxis = () => ({
    size: 62,
    stroke: colour("--muted"),
    font: FONT,
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { show: false },
    splits: (chart, _, low, high) => {
      const round = roundNumbers(low, high);
      const room = chart.bbox.height / devicePixelRatio / 24;
      return round.length <= room ? round : round.filter((number) => String(number).replace(/[0.]/g, "").startsWith("1"));
    },
    filter: (_, splits) => splits,
    values: (_, splits) => splits.map(tick),
  });

  /** Buttons that show and hide a chart's series, and read them out under the pointer. */
  const keys = (chart, series, format) => {
    const row = element("div", { class: "keys" });
    const readings = [];
    series.forEach((one, index) => {
      const swatch = element("i", {});
      swatch.style.background = one.colour;
      const reading = element("span", { class: "reading" }, one.note || "");
      const button = element("button", { type: "button", "aria-pressed": "true" }, swatch, one.name + " ", reading);
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(shown));
        chart.setSeries(index + 1, { show: shown });
      });
      readings.push({ reading, note: one.note || "" });
      row.append(button);
    });
    chart.hooks.setLegend = [
      () => {
        const at = chart.cursor.idx;
        readings.forEach(({ reading, note }, index) => {
          const value = at == null ? null : chart.data[index + 1][at];
          reading.textContent = value == null ? note : format(value, chart.data[0][at]);
        });
      },
    ];
    return row;
  };

  const place = (holder, options, columns, series, format) => {
    holder.replaceChildren();
    if (columns[0].length === 0) {
      holder.append(element("p", { class: "fine" }, "Nothing was measured here."));
      return;
    }
    const plot = element("div", {});
    holder.append(plot);
    const chart = new uPlot({ ...options, width: Math.max(260, holder.clientWidth), legend: { show: false } }, columns, plot);
    holder.prepend(keys(chart, series, format));
  };

  // --- percentiles ------------------------------------------------------------------------------------------------

  /** One choice over all latencies, and one for each latency by its phases. */
  const curveChoices = (scenario) => {
    const latencies = [...new Set(scenario.curves.map((curve) => curve.latency))];
    const ordered = latencies.sort((a, b) => (b === scenario.headline) - (a === scenario.headline));
    const byPhase = ordered.map((latency) => ({
      name: latency + ", by phase",
      curves: scenario.curves.filter((curve) => curve.latency === latency),
      label: (curve) => curve.phase ?? "all phases",
    }));
    const all = {
      name: "all latencies, over all phases",
      curves: scenario.curves.filter((curve) => curve.phase === null),
      label: (curve) => curve.latency,
    };
    return [...byPhase, all];
  };

  const quantileName = (nines) => "p" + Number((100 * (1 - 10 ** -nines)).toFixed(Math.max(0, Math.ceil(nines - 1.95))));

  /** The marks that stand at least `gap` pixels right of the last one kept; `null` for the others. */
  const spaced = (chart, marks, gap) => {
    let last = -Infinity;
    return marks.map((mark) => {
      const at = chart.valToPos(mark, "x");
      if (at - last < gap) return null;
      last = at;
      return mark;
    });
  };

  const drawCurve = (choice) => {
    const curves = choice ? choice.curves.filter((curve) => curve.points.length > 0) : [];
    const holder = byId("curve");
    if (curves.length === 0) return place(holder, {}, [[]], [], milliseconds);
    const columns = uPlot.join(
      curves.map((curve) => [curve.points.map((point) => point[0]), curve.points.map((point) => Math.max(point[1], 1e-3))]),
    );
    const series = curves.map((curve, index) => ({
      name: choice.label(curve),
      colour: colour(LINE_COLOURS[index % LINE_COLOURS.length]),
      note: curve.count.toLocaleString("en"),
    }));
    const farthest = columns[0][columns[0].length - 1];
    const marks = [0, Math.log10(2), 1, 2, 3, 4, 5, 6, 7, 8].filter((nines) => nines <= farthest + 0.01);
    place(
      holder,
      {
        height: 330,
        padding: [10, 18, 0, 0],
        scales: { x: { time: false, range: () => [0, Math.max(farthest, 1)] }, y: logScale },
        axes: [
          {
            stroke: colour("--muted"),
            font: FONT,
            grid: { stroke: colour("--grid"), width: 1 },
            ticks: { show: false },
            size: 30,
            splits: () => marks,
            filter: (_, splits) => splits,
            values: (chart, splits) => spaced(chart, splits, 42).map((nines) => (nines == null ? null : quantileName(nines))),
          },
          latencyAxis(),
        ],
        series: [
          {},
          ...series.map((one, index) => ({
            stroke: one.colour,
            width: 2,
            dash: index >= LINE_COLOURS.length ? [6, 4] : undefined,
            spanGaps: true,
            points: { show: false },
          })),
        ],
        cursor: { y: false, drag: { x: false, y: false } },
      },
      columns,
      series,
      (ms, nines) => quantileName(nines) + " " + milliseconds(ms),
    );
  };

  // --- over time --------------------------------------------------------------------------------------------------

  const faultName = (fault) => fault.kind + (fault.fired > 0 ? " ×" + fault.fired : " (never fired)");

  /** Gives each fault the first lane where neither its band nor its label touches another one's. */
  const lanes = (faults, toPixel, right) => {
    const context = document.createElement("canvas").getContext("2d");
    context.font = FONT;
    const ends = [];
    const byStart = [...faults].sort((a, b) => a.planned_from_ms - b.planned_from_ms);
    return byStart.map((fault) => {
      const width = context.measureText(faultName(fault)).width;
      const from = toPixel(fault.planned_from_ms / 1000);
      const label = Math.max(0, Math.min(from, right - width));
      const until = Math.max(toPixel(fault.planned_until_ms / 1000), label + width) + 10;
      let lane = ends.findIndex((end) => end <= Math.min(from, label));
      if (lane < 0) lane = ends.length;
      ends[lane] = until;
      return { fault, lane, label };
    });
  };

  const LANE_HEIGHT = 19;
  const PHASE_HEIGHT = 18;

  const drawBands = (chart, trial, placed) => {
    const { ctx: context, bbox } = chart;
    const ratio = devicePixelRatio;
    const x = (seconds) => chart.valToPos(seconds, "x", true);
    const clip = (at) => Math.min(Math.max(at, bbox.left), bbox.left + bbox.width);
    const laneCount = Math.max(0, ...placed.map((one) => one.lane + 1));
    const top = bbox.top - laneCount * LANE_HEIGHT * ratio;
    context.save();
    context.textBaseline = "alphabetic";
    context.font = FONT.replace("12px", 12 * ratio + "px");
    for (const phase of trial.phases) {
      const [from, until] = [clip(x(phase.from_ms / 1000)), clip(x(phase.until_ms / 1000))];
      context.strokeStyle = colour("--line");
      context.lineWidth = ratio;
      context.setLineDash([4 * ratio, 4 * ratio]);
      context.beginPath();
      context.moveTo(from, top - PHASE_HEIGHT * ratio);
      context.lineTo(from, bbox.top + bbox.height);
      context.stroke();
      context.setLineDash([]);
      if (context.measureText(phase.name).width + 8 * ratio < until - from) {
        context.fillStyle = colour("--muted");
        context.fillText(phase.name, from + 5 * ratio, top - 5 * ratio);
      }
    }
    for (const { fault, lane, label } of placed) {
      const from = clip(x(fault.planned_from_ms / 1000));
      const until = Math.max(clip(x(fault.planned_until_ms / 1000)), from + 2 * ratio);
      const bar = top + (lane + 1) * LANE_HEIGHT * ratio - 4 * ratio;
      context.fillStyle = colour("--" + fault.contract);
      if (fault.fired > 0) {
        context.globalAlpha = 0.11;
        context.fillRect(from, bar, until - from, bbox.top + bbox.height - bar);
        context.globalAlpha = 1;
        context.fillRect(from, bar, until - from, 3 * ratio);
      } else {
        context.strokeStyle = colour("--" + fault.contract);
        context.setLineDash([3 * ratio, 3 * ratio]);
        context.strokeRect(from, bar, until - from, bbox.top + bbox.height - bar);
        context.setLineDash([]);
      }
      context.fillStyle = colour("--text");
      context.fillText(faultName(fault), bbox.left + label * ratio, bar - 3 * ratio);
    }
    context.restore();
  };

  const faultTable = (trial) => {
    const holder = byId("timeline-faults");
    holder.replaceChildren();
    if (!trial || trial.faults.length === 0) return;
    const titles = ["fault", "kind", "address", "contract", "planned", "times fired", "first fired"];
    const numbers = new Set([5, 6]);
    const head = titles.map((title, index) => element("th", numbers.has(index) ? { scope: "col", class: "number" } : { scope: "col" }, title));
    const seconds = (ms) => (ms / 1000).toLocaleString("en", { maximumFractionDigits: 3 }) + " s";
    const rows = trial.faults.map((fault) => {
      const planned = fault.planned_from_ms === fault.planned_until_ms
        ? "at " + seconds(fault.planned_from_ms)
        : seconds(fault.planned_from_ms) + " to " + seconds(fault.planned_until_ms);
      const first = fault.first_fired_ms == null ? "–" : seconds(fault.first_fired_ms);
      const cells = [fault.id, fault.kind, fault.address, fault.contract, planned, fault.fired > 0 ? String(fault.fired) : "never", first];
      return element("tr", {}, ...cells.map((text, index) => {
        const classes = (numbers.has(index) ? "number " : "") + (index === 5 && fault.fired === 0 ? "doubtful" : "");
        return element("td", { class: classes }, text);
      }));
    });
    const table = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
    holder.append(element("div", { class: "scroll", tabindex: "0" }, table));
  };

  const drawTimeline = (trial, series) => {
    const holder = byId("timeline");
    const points = series ? series.points : [];
    byId("timeline-note").textContent = !series ? "No operation of this scenario was kept."
      : points.length < series.recorded
        ? points.length.toLocaleString("en") + " of " + series.recorded.toLocaleString("en") + " operations are drawn: of each stretch its extremes, so spikes stay and density means nothing."
        : "All " + points.length.toLocaleString("en") + " operations are drawn.";
    if (points.length === 0) return place(holder, {}, [[]], [], milliseconds);
    const used = data.outcomes.map((_, outcome) => outcome).filter((outcome) => points.some((point) => point[2] === outcome));
    const columns = [
      points.map((point) => point[0]),
      ...used.map((outcome) => points.map((point) => (point[2] === outcome ? Math.max(point[1], 1e-3) : null))),
    ];
    const shown = used.map((outcome) => ({
      name: data.outcomes[outcome],
      colour: colour("--" + data.outcomes[outcome]),
      note: points.reduce((sum, point) => sum + (point[2] === outcome), 0).toLocaleString("en"),
    }));
    const ends = [...trial.phases.map((phase) => phase.until_ms / 1000), points[points.length - 1][0]];
    const last = Math.max(...ends);
    const width = Math.max(260, holder.clientWidth) - 62 - 18;
    const placed = lanes(trial.faults, (seconds) => (seconds / last) * width, width);
    const laneCount = Math.max(0, ...placed.map((one) => one.lane + 1));
    const above = PHASE_HEIGHT + laneCount * LANE_HEIGHT;
    place(
      holder,
      {
        height: 320 + above,
        padding: [above, 18, 0, 0],
        scales: { x: { time: false, range: () => [0, last] }, y: logScale },
        axes: [
          {
            stroke: colour("--muted"),
            font: FONT,
            grid: { stroke: colour("--grid"), width: 1 },
            ticks: { show: false },
            size: 30,
            values: (_, splits) => splits.map((seconds) => seconds + " s"),
          },
          latencyAxis(),
        ],
        series: [
          {},
          ...shown.map((one, index) => ({
            stroke: one.colour,
            paths: () => null,
            points: { show: true, size: used[index] === 0 ? 3.5 : 6, width: 0, fill: one.colour, stroke: one.colour },
          })),
        ],
        cursor: { drag: { x: false, y: false } },
        hooks: { drawClear: [(chart) => drawBands(chart, trial, placed)] },
      },
      columns,
      shown,
      (ms, seconds) => milliseconds(ms) + " at " + seconds.toFixed(2) + " s",
    );
  };

  // --- choices ----------------------------------------------------------------------------------------------------

  const scenarioChoice = byId("scenario-choice");
  const curveChoice = byId("curve-choice");
  const trialChoice = byId("trial-choice");
  const seriesChoice = byId("series-choice");

  const scenario = () => data.scenarios[Number(scenarioChoice.value)];
  const trial = () => scenario()?.trials[Number(trialChoice.value)];
  const series = () => trial()?.series[Number(seriesChoice.value)];

  const redrawCurve = () => scenario() && drawCurve(curveChoices(scenario())[Number(curveChoice.value)]);
  const redrawTimeline = () => {
    drawTimeline(trial(), series());
    faultTable(trial());
  };
  const chooseTrial = () => {
    const wanted = seriesChoice.selectedOptions[0]?.textContent;
    const names = trial() ? trial().series.map((one) => one.latency) : [];
    fill(seriesChoice, names);
    if (names.includes(wanted)) seriesChoice.value = String(names.indexOf(wanted));
    redrawTimeline();
  };
  const chooseScenario = () => {
    fill(curveChoice, scenario() ? curveChoices(scenario()).map((choice) => choice.name) : []);
    fill(trialChoice, scenario() ? scenario().trials.map((one) => "seed " + one.seed + ", " + one.verdict) : []);
    redrawCurve();
    chooseTrial();
  };

  scenarioChoice.addEventListener("change", chooseScenario);
  curveChoice.addEventListener("change", redrawCurve);
  trialChoice.addEventListener("change", chooseTrial);
  seriesChoice.addEventListener("change", redrawTimeline);

  fill(scenarioChoice, data.scenarios.map((one) => one.name));
  // The reader most likely comes for what went wrong, or else for what was done to the system.
  const weight = (one) => 2 * one.trials.some((each) => each.verdict === "broken") + one.trials.some((each) => each.faults.length > 0);
  const first = data.scenarios.reduce((best, one, index) => (weight(one) > weight(data.scenarios[best]) ? index : best), 0);
  if (data.scenarios.length > 0) scenarioChoice.value = String(first);
  chooseScenario();

  const redraw = () => {
    redrawCurve();
    redrawTimeline();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let width = innerWidth;
  let waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 120);
  });
})();
