"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const steps = data.steps.map(([number, at, until, host, kind, service, aggregate, operation, text]) =>
    ({ number, at, until: until ?? at, host, kind, service, aggregate, operation, text }));
  const messages = data.messages.map(([step, from, to, sent, arrived, outcome, isAnswer, label]) =>
    ({ step, from, to, sent, arrived, at: sent ?? arrived, outcome, isAnswer, label }));
  const positionOf = new Map(steps.map((step, position) => [step.number, position]));
  const byStep = new Map();
  for (const message of messages) {
    if (!byStep.has(message.step)) byStep.set(message.step, []);
    byStep.get(message.step).push(message);
  }
  messages.sort((a, b) => a.at - b.at);
  const longest = steps.reduce((most, step) => Math.max(most, step.until - step.at), 0);
  const chain = new Map(data.chain.map((link) => [link.step, link]));
  const broken = new Map();
  for (const violation of data.violations) for (const step of violation.steps) {
    if (!broken.has(step)) broken.set(step, []);
    broken.get(step).push(violation);
  }
  const faultAt = new Map();
  for (const fault of data.faults) for (const point of fault.points) {
    faultAt.set(point.step, fault);
    if (point.call_step != null) faultAt.set(point.call_step, fault);
  }
  const end = Math.max(data.ended_us, steps.length ? steps[steps.length - 1].until : 0, 1);

  const byId = (id) => document.getElementById(id);
  const canvas = byId("canvas"), box = canvas.parentElement, panel = byId("panel");
  const context = canvas.getContext("2d");
  const LABELS = 128, AXIS = 42, LANE = 46, FAULT_ROW = 17;

  // Which lane of the band above the hosts each fault takes, so that none hides another.
  const bands = [...data.faults].sort((a, b) => a.from_us - b.from_us || a.id - b.id);
  const freeFrom = [];
  for (const fault of bands) {
    let row = freeFrom.findIndex((free) => free <= fault.from_us);
    if (row < 0) row = freeFrom.length < 6 ? freeFrom.length : 5;
    freeFrom[row] = Math.max(freeFrom[row] ?? 0, fault.until_us, fault.from_us + end / 40);
    fault.row = row;
  }
  const TOP = AXIS + freeFrom.length * FAULT_ROW + 10;

  const state = { from: 0, until: end, selected: -1, words: "", host: "", service: "", kind: "", aggregate: "", polls: false, chainOnly: false };
  let shown = [], isShown = new Uint8Array(steps.length), colours = {}, width = 0, height = 0, scheduled = false;

  const time = (us) => (us / 1e6).toFixed(3) + " s";
  const laneY = (host) => TOP + host * LANE + LANE / 2;
  const scale = () => (width - LABELS - 12) / (state.until - state.from);
  const xOf = (us) => LABELS + (us - state.from) * scale();
  const usOf = (x) => state.from + (x - LABELS) / scale();
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

  // With few lanes the stage is lower, but leaves room for the panel.
  const lanes = TOP + data.hosts.length * LANE + 14;
  box.parentElement.style.setProperty("--lanes", Math.max(lanes, 420) + "px");

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["ground", "surface", "sunken", "line", "text", "muted", "good", "bad", "doubtful", "accent", "customer", "call", "poll", "write", "record", "message", "fault", "host", "masked", "detected", "excused"]) {
      colours[name] = style.getPropertyValue("--" + name).trim();
    }
  }

  function filter() {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [];
    steps.forEach((step, position) => {
      const fits = (state.polls || step.kind !== "poll" || chain.has(step.number) || state.kind === "poll")
        && (!state.chainOnly || chain.has(step.number) || broken.has(step.number))
        && (state.host === "" || step.host === Number(state.host) || (byStep.get(step.number) ?? []).some((m) => m.to === Number(state.host) || m.from === Number(state.host)))
        && (state.service === "" || step.service === state.service)
        && (state.kind === "" || step.kind === state.kind)
        && (state.aggregate === "" || step.aggregate === state.aggregate)
        && words.every((word) => (step.text + " " + data.hosts[step.host].name + " " + (step.aggregate ?? "") + " #" + step.number).toLowerCase().includes(word));
      isShown[position] = fits ? 1 : 0;
      if (fits) shown.push(position);
    });
    const left = data.left_out ? `; ${data.left_out} steps far from any violation are not on this page` : "";
    byId("count").textContent = `${shown.length} of ${steps.length} steps shown${left}.`;
    draw();
  }

  function resize() {
    const ratio = window.devicePixelRatio || 1;
    width = box.clientWidth;
    height = Math.max(TOP + data.hosts.length * LANE + 12, box.clientHeight);
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint();
  }

  function draw() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => { scheduled = false; paint(); });
  }

  function lowerBound(list, at, key) {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (key(list[middle]) < at) low = middle + 1; else high = middle;
    }
    return low;
  }

  function paint() {
    if (!width) return;
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, 'Liberation Sans', Arial, sans-serif";
    paintPhases();
    paintLanes();
    context.save();
    context.beginPath();
    context.rect(LABELS, 0, width - LABELS, height);
    context.clip();
    paintFaults();
    paintMessages();
    paintSteps();
    paintViolations();
    paintSelection();
    context.restore();
    paintNames();
  }

  function paintPhases() {
    data.phases.forEach((phase, index) => {
      const from = Math.max(xOf(phase.from_us), LABELS), until = Math.min(xOf(phase.until_us), width);
      if (until <= from) return;
      if (index % 2) { context.fillStyle = colours.sunken; context.fillRect(from, 0, until - from, height); }
      context.fillStyle = colours.muted;
      if (until - from > 50) context.fillText(phase.name, from + 5, 14);
    });
    const span = (state.until - state.from) / Math.max((width - LABELS) / 110, 1);
    const tick = [1, 2, 5].flatMap((n) => [...Array(9).keys()].map((e) => n * 10 ** e)).sort((a, b) => a - b).find((us) => us >= span) ?? 1e8;
    context.textAlign = "center";
    for (let at = Math.ceil(state.from / tick) * tick; at <= state.until; at += tick) {
      const x = xOf(at);
      context.strokeStyle = colours.line;
      context.beginPath(); context.moveTo(x, 34); context.lineTo(x, height); context.stroke();
      context.fillStyle = colours.muted;
      if (x > LABELS + 24) context.fillText(tick >= 1e6 ? at / 1e6 + " s" : tick >= 1e3 ? (at / 1e6).toFixed(3) + " s" : (at / 1e3).toFixed(3) + " ms", x, 30);
    }
    context.textAlign = "left";
  }

  function paintLanes() {
    data.hosts.forEach((host, index) => {
      const y = laneY(index);
      context.strokeStyle = colours.line;
      context.lineWidth = 1;
      context.setLineDash(host.is_endpoint ? [4, 4] : []);
      context.beginPath(); context.moveTo(LABELS, y); context.lineTo(width, y); context.stroke();
      context.setLineDash([]);
    });
  }

  function paintNames() {
    context.fillStyle = colours.surface;
    context.fillRect(0, 0, LABELS - 6, height);
    context.textBaseline = "middle";
    data.hosts.forEach((host, index) => {
      const selected = state.selected >= 0 && steps[state.selected].host === index;
      context.font = (host.is_endpoint ? "" : "600 ") + "12.5px system-ui, 'Liberation Sans', Arial, sans-serif";
      context.fillStyle = selected ? colours.accent : host.is_endpoint ? colours.muted : colours.text;
      context.fillText(host.name, 12, laneY(index), LABELS - 22);
    });
    context.textBaseline = "alphabetic";
    if (data.faults.length) {
      context.font = "12px system-ui, 'Liberation Sans', Arial, sans-serif";
      context.fillStyle = colours.fault;
      context.fillText("faults", 12, AXIS + 12);
    }
  }

  function paintFaults() {
    for (const fault of data.faults) {
      const from = xOf(fault.from_us), until = Math.max(xOf(fault.until_us), from + 3);
      if (until < LABELS || from > width) continue;
      const colour = colours[fault.contract] ?? colours.fault, y = AXIS + fault.row * FAULT_ROW;
      const fired = fault.points.length > 0;
      context.globalAlpha = fired ? .3 : .1;
      context.fillStyle = colour;
      context.fillRect(from, y, until - from, FAULT_ROW - 3);
      if (fired) for (const host of fault.hosts) context.fillRect(from, laneY(host) - LANE / 2 + 3, until - from, LANE - 6);
      context.globalAlpha = 1;
      if (!fired) { context.setLineDash([3, 3]); context.strokeStyle = colour; context.strokeRect(from, y + .5, until - from, FAULT_ROW - 4); context.setLineDash([]); }
      context.save();
      context.beginPath(); context.rect(from, y, Math.max(until - from, 90), FAULT_ROW); context.clip();
      context.fillStyle = colours.text;
      context.font = "11px system-ui, 'Liberation Sans', Arial, sans-serif";
      context.fillText(`${fault.id} ${fault.kind}${fired ? "" : " (never fired)"}`, Math.max(from, LABELS) + 4, y + 11);
      context.restore();
      for (const point of fault.points) {
        const x = xOf(point.at_us);
        context.fillStyle = colours.fault;
        context.beginPath(); context.moveTo(x - 4, y - 1); context.lineTo(x + 4, y - 1); context.lineTo(x, y + 6); context.fill();
      }
    }
  }

  function paintMessages() {
    const first = lowerBound(messages, state.from - longest, (m) => m.at), last = lowerBound(messages, state.until + 1, (m) => m.at);
    const dense = last - first > 4000, drawn = new Set();
    context.lineWidth = 1;
    for (let index = first; index < last; index++) {
      const message = messages[index], position = positionOf.get(message.step);
      if (position == null || !isShown[position] || message.from === message.to) continue;
      const at = xOf(message.at);
      const inChain = chain.has(message.step) || position === state.selected;
      if (dense && !inChain) {
        // Of arrows that would lie on each other one is enough.
        const place = Math.round(at) * 4096 + message.from * 64 + message.to;
        if (drawn.has(place)) continue;
        drawn.add(place);
      }
      paintArrow(message, at, inChain);
    }
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  function paintArrow(message, at, inChain) {
    const until = message.sent != null && message.arrived != null ? xOf(message.arrived) : at;
    let toY = laneY(message.to);
    const fromY = laneY(message.from), lost = message.outcome === "lost";
    if (lost) toY = fromY + (toY - fromY) * .7;
    context.globalAlpha = inChain ? 1 : state.chainOnly || lost ? .85 : .32;
    context.strokeStyle = context.fillStyle = lost ? colours.bad : message.outcome === "refused" ? colours.doubtful : inChain ? colours.accent : colours.call;
    context.lineWidth = inChain ? 1.7 : 1;
    context.setLineDash(message.isAnswer ? [4, 3] : []);
    context.beginPath(); context.moveTo(at, fromY); context.lineTo(until, toY); context.stroke();
    context.setLineDash([]);
    const tip = Math.sign(toY - fromY) * 6;
    context.beginPath();
    if (lost) { context.moveTo(until - 4, toY - 4); context.lineTo(until + 4, toY + 4); context.moveTo(until + 4, toY - 4); context.lineTo(until - 4, toY + 4); context.stroke(); }
    else { context.moveTo(until, toY); context.lineTo(until - 3, toY - tip); context.lineTo(until + 3, toY - tip); context.fill(); }
  }

  function paintSteps() {
    const first = lowerBound(shown, state.from - longest, (p) => steps[p].at), last = lowerBound(shown, state.until + 1, (p) => steps[p].at);
    const lastX = new Map(), labelled = new Map();
    for (let index = first; index < last; index++) {
      const step = steps[shown[index]], x = xOf(step.at), y = laneY(step.host);
      const special = chain.has(step.number) || broken.has(step.number);
      const place = step.host * 16 + step.kind.length;
      if (!special && step.until === step.at && lastX.get(place) === Math.round(x)) continue;
      lastX.set(place, Math.round(x));
      context.fillStyle = colours[step.kind] ?? colours.call;
      if (step.until > step.at) {
        context.globalAlpha = special ? .95 : .55;
        context.fillRect(x, y - 4, Math.max(xOf(step.until) - x, 1.5), 8);
        context.globalAlpha = 1;
      } else {
        context.beginPath(); context.arc(x, y, special ? 5 : 3.2, 0, 7); context.fill();
      }
      if (special) { context.strokeStyle = colours.text; context.lineWidth = 1.4; context.beginPath(); context.arc(x, y, 6.5, 0, 7); context.stroke(); }
      if (special && x - (labelled.get(step.host) ?? -99) > 34) {
        labelled.set(step.host, x);
        context.fillStyle = colours.text;
        context.fillText(String(step.number), x + 7, y - 9);
      }
    }
  }

  function paintViolations() {
    for (const violation of data.violations) {
      if (violation.at_us == null) continue;
      const x = xOf(violation.at_us);
      context.strokeStyle = context.fillStyle = colours.bad;
      context.lineWidth = 1.5;
      context.setLineDash([6, 3]);
      context.beginPath(); context.moveTo(x, AXIS - 6); context.lineTo(x, height); context.stroke();
      context.setLineDash([]);
      context.beginPath(); context.moveTo(x - 6, AXIS - 12); context.lineTo(x + 6, AXIS - 12); context.lineTo(x, AXIS - 2); context.fill();
    }
  }

  function paintSelection() {
    if (state.selected < 0) return;
    const step = steps[state.selected], x = xOf(step.at), y = laneY(step.host);
    context.strokeStyle = colours.accent;
    context.lineWidth = 1;
    context.beginPath(); context.moveTo(x, AXIS); context.lineTo(x, height); context.stroke();
    context.lineWidth = 2.5;
    context.beginPath(); context.arc(x, y, 9, 0, 7); context.stroke();
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text != null) made.textContent = text;
    if (className) made.className = className;
    return made;
  }
  function link(number) {
    const made = element("a", number);
    made.href = "#step-" + number;
    return made;
  }
  function pairs(rows, className) {
    const list = element("dl", null, className);
    for (const [name, value, mark] of rows) {
      const term = element("dt"), meaning = element("dd");
      term.append(name);
      meaning.append(...[].concat(value));
      if (mark) { term.className = mark; meaning.className = mark; }
      list.append(term, meaning);
    }
    return list;
  }

  function tell() {
    panel.replaceChildren();
    if (state.selected < 0) {
      panel.append(element("h3", "No step selected"), element("p", "Click a step, or press → in the timeline. This panel then tells what happened, and the state of hosts, tables, queues and leases at that moment.", "fine"));
      return;
    }
    const step = steps[state.selected];
    panel.append(element("h3", step.text));
    const rows = [["step", [link(step.number), ` of ${steps[steps.length - 1].number}`]], ["time", time(step.at) + (step.until > step.at ? `, took ${((step.until - step.at) / 1e3).toFixed(1)} ms` : "")],
      ["host", data.hosts[step.host].name], ["kind", step.kind]];
    if (step.service) rows.push(["service", step.service]);
    if (step.aggregate) rows.push(["aggregate", step.aggregate]);
    if (step.operation != null) rows.push(["operation", String(step.operation)]);
    for (const message of byStep.get(step.number) ?? []) {
      rows.push([message.isAnswer ? "answer" : "message", `${data.hosts[message.from].name} → ${data.hosts[message.to].name}: ${message.label} (${message.outcome})`, message.outcome === "lost" ? "hit" : ""]);
    }
    const fault = faultAt.get(step.number);
    if (fault) rows.push(["fault", `${fault.id} ${fault.kind}: ${fault.address}`, "hit"]);
    for (const violation of broken.get(step.number) ?? []) rows.push(["broke", `${violation.checker}: ${violation.what}`, "hit"]);
    panel.append(pairs(rows));
    const because = chain.get(step.number)?.because ?? [];
    if (because.length) {
      panel.append(element("h4", "Follows from"));
      panel.append(pairs(because.map((one) => [link(one.step), `${steps[positionOf.get(one.step)]?.text ?? ""} (${one.why})`])));
    }
    const leads = data.chain.filter((other) => other.because.some((one) => one.step === step.number));
    if (leads.length) {
      panel.append(element("h4", "Leads to"));
      panel.append(pairs(leads.map((other) => [link(other.step), steps[positionOf.get(other.step)]?.text ?? ""])));
    }
    tellState(step);
  }

  function tellState(step) {
    const groups = new Map();
    for (const [number, of, name, after] of data.changes) {
      if (number > step.number) break;
      if (!groups.has(of)) groups.set(of, new Map());
      if (after == null) groups.get(of).delete(name); else groups.get(of).set(name, [after, number]);
    }
    for (const [of, entries] of groups) {
      if (!entries.size) continue;
      const own = (name) => step.aggregate != null && name.includes(step.aggregate) ? 1 : 0;
      const sorted = [...entries].sort((a, b) => own(b[0]) - own(a[0]) || b[1][1] - a[1][1]).slice(0, 40);
      panel.append(element("h4", `${of} (${entries.size})`));
      panel.append(pairs(sorted.map(([name, [value, since]]) => {
        const mark = element("span", since ? " since " : " from the start", "since");
        if (since) mark.append(link(since));
        return [name, [value, mark], since === step.number ? "now" : ""];
      }), "state"));
    }
  }

  function select(position, reveal = true) {
    state.selected = position;
    if (position >= 0) {
      const step = steps[position];
      if (reveal && (step.at < state.from || step.at > state.until)) {
        const half = (state.until - state.from) / 2;
        view(step.at - half, step.at + half);
      }
      const y = laneY(step.host);
      if (reveal && (y < box.scrollTop + 20 || y > box.scrollTop + box.clientHeight - 20)) box.scrollTop = y - box.clientHeight / 2;
      const hash = "#step-" + step.number;
      if (location.hash !== hash) history.replaceState(null, "", hash);
    }
    tell();
    draw();
  }

  function view(from, until) {
    const span = clamp(until - from, 200, end * 1.02);
    const start = clamp(from, -end * .01, Math.max(end * 1.01 - span, -end * .01));
    state.from = start;
    state.until = start + span;
    draw();
  }
  function zoom(factor, around = (state.from + state.until) / 2) {
    view(around - (around - state.from) * factor, around + (state.until - around) * factor);
  }
  function fit() { view(-end * .01, end * 1.01); }
  function fitChain() {
    const numbers = [...chain.keys(), ...broken.keys()].map((number) => steps[positionOf.get(number)]).filter(Boolean);
    if (!numbers.length) return fit();
    const from = Math.min(...numbers.map((step) => step.at)), until = Math.max(...numbers.map((step) => step.until));
    const margin = Math.max((until - from) * .06, 20000);
    view(from - margin, until + margin);
  }

  function go(way, wanted = () => true) {
    let position = state.selected < 0 ? (way > 0 ? -1 : steps.length) : state.selected;
    for (position += way; position >= 0 && position < steps.length; position += way) {
      if (wanted(position)) return select(position);
    }
  }
  const visible = (position) => isShown[position] === 1;
  const inChain = (position) => chain.has(steps[position].number);
  const isBroken = (position) => broken.has(steps[position].number);
  const hasFault = (position) => faultAt.has(steps[position].number);

  const keys = {
    ArrowRight: () => go(1, visible), ArrowLeft: () => go(-1, visible), c: () => go(1, inChain), C: () => go(-1, inChain), v: () => go(1, isBroken), V: () => go(-1, isBroken),
    f: () => go(1, hasFault), F: () => go(-1, hasFault), "+": () => zoom(.6), "=": () => zoom(.6), "-": () => zoom(1 / .6), "0": fit,
    Home: () => { if (shown.length) select(shown[0]); }, End: () => { if (shown.length) select(shown[shown.length - 1]); },
    "/": () => byId("search").focus(), "?": () => byId("help-button").click(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) && event.target.type !== "checkbox";
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    const moves = ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key);
    if (moves && event.target !== canvas && event.target !== document.body) return;
    event.preventDefault();
    if (event.shiftKey && moves && event.key.startsWith("Arrow")) {
      const way = (event.key === "ArrowRight" ? .25 : -.25) * (state.until - state.from);
      return view(state.from + way, state.until + way);
    }
    keys[event.key]();
  });

  let drag = null;
  canvas.addEventListener("pointerdown", (event) => { drag = { x: event.offsetX, from: state.from, until: state.until, moved: false }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const moved = event.offsetX - drag.x;
    if (Math.abs(moved) > 3) drag.moved = true;
    const way = -moved / scale();
    if (drag.moved) view(drag.from + way, drag.until + way);
  });
  canvas.addEventListener("pointerup", (event) => {
    const clicked = drag && !drag.moved;
    drag = null;
    if (clicked) pick(event.offsetX, event.offsetY);
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("wheel", (event) => {
    if (event.shiftKey && !event.ctrlKey) return;
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) { const way = event.deltaX / scale(); view(state.from + way, state.until + way); }
    else zoom(Math.exp(clamp(event.deltaY, -300, 300) / 400), usOf(event.offsetX));
  }, { passive: false });

  // The step nearest to the pointer, those of the chain first.
  function pick(x, y) {
    const reach = 14 / scale(), at = usOf(x);
    let best = -1, least = Infinity;
    for (const position of shown) {
      const step = steps[position];
      if (step.at > at + reach) break;
      if (step.until < at - reach) continue;
      const apart = at < step.at ? step.at - at : at > step.until ? at - step.until : 0;
      const far = Math.hypot(apart * scale(), y - laneY(step.host)) - (chain.has(step.number) ? 5 : 0);
      if (far < least) { least = far; best = position; }
    }
    if (best >= 0 && least < 26) select(best, false);
  }

  function options(id, title, values) {
    const list = byId(id);
    list.append(new Option(title, ""), ...values.map(([value, text]) => new Option(text, value)));
    list.addEventListener("change", () => { state[id.slice(7)] = list.value; filter(); });
  }
  const distinct = (of) => [...new Set(steps.map(of).filter((value) => value != null))].sort();
  options("filter-host", "all hosts", data.hosts.map((host, index) => [String(index), host.name]));
  options("filter-service", "all services", distinct((step) => step.service).map((name) => [name, name]));
  options("filter-kind", "all kinds", distinct((step) => step.kind).map((name) => [name, name]));
  options("filter-aggregate", "all aggregates", distinct((step) => step.aggregate).map((name) => [name, name]));
  byId("filter-polls").addEventListener("change", (event) => { state.polls = event.target.checked; filter(); });
  byId("filter-chain").addEventListener("change", (event) => { state.chainOnly = event.target.checked; filter(); });
  byId("search").addEventListener("input", (event) => { state.words = event.target.value; filter(); });
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1, visible);
    if (event.key === "Escape") canvas.focus();
  });
  byId("zoom-in").addEventListener("click", () => zoom(.6));
  byId("zoom-out").addEventListener("click", () => zoom(1 / .6));
  byId("fit").addEventListener("click", fit);
  byId("to-broken").addEventListener("click", () => { fitChain(); const first = steps.findIndex((_, position) => isBroken(position)); if (first >= 0) select(first); });
  byId("help-button").addEventListener("click", (event) => {
    const help = byId("help");
    help.hidden = !help.hidden;
    event.currentTarget.setAttribute("aria-expanded", String(!help.hidden));
  });
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "Copied"; } catch { button.textContent = "Select it"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  function followHash(scroll) {
    const number = /^#step-(\d+)$/.exec(location.hash);
    const position = number ? positionOf.get(Number(number[1])) : undefined;
    if (position == null) return false;
    select(position);
    if (scroll) byId("timeline").scrollIntoView();
    return true;
  }
  window.addEventListener("hashchange", () => followHash(true));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
  new ResizeObserver(resize).observe(box);
  readColours();
  filter();
  resize();
  fitChain();
  if (!followHash(true)) {
    const first = steps.findIndex((_, position) => isBroken(position));
    state.selected = first;
    tell();
  }
  draw();
})();
