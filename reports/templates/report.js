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

  const drawCurve = (choice, holder) => {
    const curves = choice ? choice.curves.filter((curve) => curve.points.length > 0) : [];
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

  /** More faults than this share a lane with those of their kind: a name for each would leave no room for the chart. */
  const NAMED_FAULTS = 6;

  /** When a fault acted, or when it was meant to if it never did, in seconds. */
  const bandOf = (fault) => {
    if (fault.fired === 0) return [fault.planned_from_ms / 1000, fault.planned_until_ms / 1000];
    const from = fault.first_fired_ms ?? fault.planned_from_ms;
    return [from / 1000, Math.max(from, fault.acted_until_ms ?? fault.planned_until_ms) / 1000];
  };

  const firings = (fault) => (fault.fired > 0 ? " ×" + fault.fired.toLocaleString("en") : " (never fired)");

  const kindName = (faults) => {
    const fired = faults.filter((fault) => fault.fired > 0).length;
    const times = faults.reduce((sum, fault) => sum + fault.fired, 0);
    if (faults.length === 1) return faults[0].kind + firings(faults[0]);
    if (fired === 0) return faults[0].kind + " (" + faults.length + " planned, never fired)";
    const planned = fired < faults.length ? fired + " of " + faults.length + " fired" : faults.length + " faults";
    return faults[0].kind + " ×" + times.toLocaleString("en") + " (" + planned + ")";
  };

  /** One lane for each kind of fault, with its name at the left end. */
  const lanesOfKinds = (faults) => {
    const kinds = new Map();
    for (const fault of faults) {
      const key = fault.contract + " " + fault.kind;
      kinds.set(key, [...(kinds.get(key) || []), fault]);
    }
    const start = (group) => Math.min(...group.map((fault) => bandOf(fault)[0]));
    const groups = [...kinds.values()].sort((a, b) => start(a) - start(b));
    return groups.flatMap((group, lane) => group.map((fault, index) => ({ fault, lane, label: 4, name: index === 0 ? kindName(group) : "" })));
  };

  /** Gives each fault the first lane where neither its band nor its label touches another one's. */
  const lanesOfFaults = (faults, toPixel, right) => {
    const context = document.createElement("canvas").getContext("2d");
    context.font = FONT;
    const ends = [];
    const byStart = [...faults].sort((a, b) => bandOf(a)[0] - bandOf(b)[0]);
    return byStart.map((fault) => {
      const name = fault.kind + firings(fault);
      const width = context.measureText(name).width;
      const [from, until] = bandOf(fault).map(toPixel);
      const label = Math.max(0, Math.min(from, right - width));
      const end = Math.max(until, label + width) + 10;
      let lane = ends.findIndex((taken) => taken <= Math.min(from, label));
      if (lane < 0) lane = ends.length;
      ends[lane] = end;
      return { fault, lane, label, name };
    });
  };

  const lanes = (faults, toPixel, right) =>
    faults.length > NAMED_FAULTS ? lanesOfKinds(faults) : lanesOfFaults(faults, toPixel, right);

  const LANE_HEIGHT = 21;
  const BAR_HEIGHT = 5;
  const PHASE_HEIGHT = 18;
  /** A fault of a moment must still be seen. */
  const NARROWEST_BAND = 3;

  /** Bands put together where they overlap, so that a storm of faults does not blacken the chart. */
  const union = (bands) => {
    const merged = [];
    for (const [from, until] of [...bands].sort((a, b) => a[0] - b[0])) {
      const last = merged[merged.length - 1];
      if (last && from <= last[1]) last[1] = Math.max(last[1], until);
      else merged.push([from, until]);
    }
    return merged;
  };

  const hatch = (context, x, y, width, height, step) => {
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    context.beginPath();
    for (let at = x - height; at < x + width; at += step) {
      context.moveTo(at, y + height);
      context.lineTo(at + height, y);
    }
    context.stroke();
    context.restore();
  };

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
    const bottom = bbox.top + bbox.height;
    const pixels = (fault) => {
      const [from, until] = bandOf(fault).map((seconds) => clip(x(seconds)));
      const start = Math.min(from, bbox.left + bbox.width - NARROWEST_BAND * ratio);
      return [start, Math.max(until, start + NARROWEST_BAND * ratio)];
    };
    for (const contract of ["masked", "detected", "excused"]) {
      const fired = placed.filter(({ fault }) => fault.contract === contract && fault.fired > 0);
      context.fillStyle = colour("--" + contract);
      context.globalAlpha = 0.1;
      for (const [from, until] of union(fired.map(({ fault }) => pixels(fault)))) {
        context.fillRect(from, top, until - from, bottom - top);
      }
      context.globalAlpha = 1;
    }
    for (const { fault, lane, label, name } of placed) {
      const [from, until] = pixels(fault);
      const bar = top + ((lane + 1) * LANE_HEIGHT - BAR_HEIGHT - 1) * ratio;
      context.fillStyle = context.strokeStyle = colour("--" + fault.contract);
      context.lineWidth = ratio;
      if (fault.fired > 0) {
        context.fillRect(from, bar, until - from, BAR_HEIGHT * ratio);
      } else {
        context.globalAlpha = 0.75;
        hatch(context, from, bar, until - from, BAR_HEIGHT * ratio, 4 * ratio);
        if (placed.length <= NAMED_FAULTS) {
          context.globalAlpha = 0.16;
          hatch(context, from, bar, until - from, bottom - bar, 9 * ratio);
        }
        context.globalAlpha = 1;
      }
      context.fillStyle = colour(fault.fired > 0 || placed.length > NAMED_FAULTS ? "--text" : "--muted");
      if (name) context.fillText(name, bbox.left + label * ratio, bar - 3 * ratio);
    }
    context.restore();
  };

  const faultTable = (trial) => {
    const holder = byId("timeline-faults");
    holder.replaceChildren();
    if (!trial || trial.faults.length === 0) return;
    const titles = ["fault", "kind", "address", "contract", "planned", "times fired", "acted"];
    const numbers = new Set([5]);
    const head = titles.map((title, index) => element("th", numbers.has(index) ? { scope: "col", class: "number" } : { scope: "col" }, title));
    const seconds = (ms) => (ms / 1000).toLocaleString("en", { maximumFractionDigits: 3 }) + " s";
    const rows = trial.faults.map((fault) => {
      const stretch = (from, until) => (from === until ? "at " + seconds(from) : seconds(from) + " to " + seconds(until));
      const planned = stretch(fault.planned_from_ms, fault.planned_until_ms);
      const acted = fault.first_fired_ms == null ? "–" : stretch(fault.first_fired_ms, fault.acted_until_ms ?? fault.first_fired_ms);
      const cells = [fault.id, fault.kind, fault.address, fault.contract, planned, fault.fired > 0 ? String(fault.fired) : "never", acted];
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
    // A drain lasts until all is quiet at the latest; where it was quiet long before, its empty rest is cut off.
    const busy = Math.max(points[points.length - 1][0], ...trial.faults.filter((fault) => fault.fired > 0).map((fault) => bandOf(fault)[1]));
    const last = Math.min(Math.max(...ends), busy * 1.06 + 0.5);
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

  // --- the way of an event ----------------------------------------------------------------------------------------

  const PARTS = ["modelled", "injected", "own"];

  /** The mean of each latency and phase, all to one scale, cut into its parts. */
  const drawParts = (scenario) => {
    const holder = byId("way-parts");
    const sum = (bar) => bar.means_ms.reduce((total, ms) => total + ms, 0);
    const longest = Math.max(1e-9, ...scenario.way_parts.map(sum));
    const rows = scenario.way_parts.map((bar) => {
      const pieces = PARTS.map((part, index) => {
        const piece = element("span", { class: part });
        piece.style.width = (100 * bar.means_ms[index]) / longest + "%";
        return piece;
      });
      const terms = PARTS.map((part, index) =>
        element("span", { class: "term" }, element("span", { class: "key " + part }), milliseconds(bar.means_ms[index]) + (index < 2 ? " + " : "")),
      );
      const name = element("p", { class: "bar-name" }, bar.latency + " ", element("span", {}, bar.phase));
      const label = PARTS.map((part, index) => part + " " + milliseconds(bar.means_ms[index])).join(", ");
      const numbers = element("p", { class: "bar-numbers" }, element("strong", {}, milliseconds(sum(bar))), " = ", ...terms);
      return element("div", { class: "bar-row" }, name, element("div", { class: "bar", role: "img", "aria-label": label }, ...pieces), numbers);
    });
    holder.replaceChildren(...(rows.length > 0 ? rows : [element("p", { class: "fine" }, "No parts were told apart here.")]));
  };

  const wayScenarios = data.scenarios.filter((one) => one.curves.some((curve) => data.way.includes(curve.latency)));
  const wayScenarioChoice = byId("way-scenario-choice");
  const wayPhaseChoice = byId("way-phase-choice");
  const wayCurves = () => {
    const curves = wayScenarios[Number(wayScenarioChoice.value)].curves.filter((curve) => data.way.includes(curve.latency));
    return curves.sort((a, b) => data.way.indexOf(a.latency) - data.way.indexOf(b.latency));
  };
  /** What happens to an event, step by step, and from where to where the time of each step is taken. */
  const STATIONS = [
    { latency: "command", title: "Stored", note: "from the customer's intended start to the answer" },
    { latency: "routing", title: "Routed", note: "from the commit until the stream holds it" },
    { latency: "end-to-end", title: "Projected", note: "from the intended start until the read model shows it" },
    { latency: "background", title: "Notified", note: "from the commit to the notification's effect" },
    { latency: "recovery", title: "Recovered", note: "from the heal until no backlog is left" },
  ];

  const percentileOf = (curve, nines) => {
    const at = curve.points.filter((point) => point[0] <= nines + 1e-6);
    return at.length > 0 ? at[at.length - 1][1] : null;
  };

  const partsOf = (scenario, latency, phase) => {
    const found = scenario.way_parts.find((one) => one.latency === latency && one.phase === phase);
    if (!found) return [];
    const total = found.means_ms.reduce((sum, ms) => sum + ms, 0);
    const bar = element("div", { class: "bar", "aria-hidden": "true" });
    for (const [index, part] of PARTS.entries()) {
      const piece = element("span", { class: part });
      piece.style.width = total > 0 ? (100 * found.means_ms[index]) / total + "%" : "0";
      bar.append(piece);
    }
    const names = ["AWS", "injected", "own"];
    const terms = names.map((name, index) => element("span", { class: "term" }, element("span", { class: "key " + PARTS[index] }), name + " " + milliseconds(found.means_ms[index])));
    return [bar, element("p", { class: "bar-numbers" }, ...terms)];
  };

  /** A card for each step that was measured in the phase; all phases if none is chosen, then without parts. */
  const drawStations = (scenario, phase) => {
    const cards = STATIONS.flatMap((station) => {
      const wanted = station.latency === "recovery" ? null : phase;
      const curve = scenario.curves.find((one) => one.latency === station.latency && one.phase === wanted);
      if (!curve || curve.count === 0) return [];
      const bound = scenario.bounds.find((one) => one.latency === station.latency && one.phase === (wanted ?? ""));
      const numbers = element("p", { class: "numbers" }, element("span", {}, "p50 ", element("strong", {}, milliseconds(percentileOf(curve, Math.log10(2))))));
      if (curve.count >= 100) numbers.append(element("span", {}, "p99 ", element("strong", {}, milliseconds(percentileOf(curve, 2)))));
      else numbers.append(element("span", {}, "longest ", element("strong", {}, milliseconds(percentileOf(curve, Infinity)))));
      const card = element("li", { class: "station" }, element("h3", {}, station.title), element("p", { class: "fine" }, station.note), numbers);
      if (bound) {
        const tone = { held: "good", broken: "bad", inconclusive: "doubtful" }[bound.verdict];
        card.append(element("p", { class: "bound " + tone }, "objective p" + bound.percentile + " ≤ " + milliseconds(bound.limit_ms) + ": " + bound.verdict));
      }
      card.append(...partsOf(scenario, station.latency, wanted));
      card.append(element("p", { class: "fine" }, curve.count.toLocaleString("en") + (station.latency === "recovery" ? " trials" : " measured")));
      return [card];
    });
    byId("way-stations").replaceChildren(element("ol", { class: "stations" }, ...cards));
  };

  const redrawWay = () => {
    if (!wayScenarioChoice || wayScenarios.length === 0) return;
    const phase = Number(wayPhaseChoice.value) === 0 ? null : wayPhaseChoice.selectedOptions[0].textContent;
    const curves = wayCurves().filter((curve) => curve.phase === phase);
    drawCurve({ curves, label: (curve) => curve.latency }, byId("way-curve"));
    drawStations(wayScenarios[Number(wayScenarioChoice.value)], phase);
    drawParts(wayScenarios[Number(wayScenarioChoice.value)]);
  };
  const chooseWayScenario = () => {
    const phases = wayCurves().filter((curve) => curve.phase !== null && curve.count > 0).map((curve) => curve.phase);
    const wanted = wayPhaseChoice.selectedOptions[0]?.textContent ?? "nominal";
    const names = ["all phases", ...new Set(phases)];
    fill(wayPhaseChoice, names);
    wayPhaseChoice.value = String(Math.max(0, names.indexOf(wanted)));
    redrawWay();
  };
  const startWay = () => {
    if (!wayScenarioChoice || wayScenarios.length === 0) return;
    wayScenarioChoice.addEventListener("change", chooseWayScenario);
    wayPhaseChoice.addEventListener("change", redrawWay);
    fill(wayScenarioChoice, wayScenarios.map((one) => one.name));
    wayScenarioChoice.value = String(Math.max(0, wayScenarios.indexOf(scenario())));
    chooseWayScenario();
  };

  // --- choices ----------------------------------------------------------------------------------------------------

  const scenarioChoice = byId("scenario-choice");
  const curveChoice = byId("curve-choice");
  const trialChoice = byId("trial-choice");
  const seriesChoice = byId("series-choice");

  const scenario = () => data.scenarios[Number(scenarioChoice.value)];
  const trial = () => scenario()?.trials[Number(trialChoice.value)];
  const series = () => trial()?.series[Number(seriesChoice.value)];

  const redrawCurve = () => scenario() && drawCurve(curveChoices(scenario())[Number(curveChoice.value)], byId("curve"));
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
  startWay();

  const redraw = () => {
    redrawCurve();
    redrawWay();
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
