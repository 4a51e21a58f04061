"use strict";
/* The page of scree serve: a picture and what is on it, charts, models, events, the doctor. Everything
 * comes from the server that sent this file, and nothing is kept but a token, as long as the tab is. */
const $ = id => document.getElementById(id);
const el = (name, props = {}, ...children) => {
  const e = Object.assign(document.createElement(name), props);
  e.append(...children);
  return e;
};
const ms = x => x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
const bytes = n => n >= 1 << 20 ? (n / (1 << 20)).toFixed(1) + " MiB" : (n / 1024).toFixed(0) + " KiB";
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* The colour of a class: hues a golden ratio of the circle apart, as the server draws them. */
function color(index) {
  const hue = 6 * ((0.05 + index * 0.6180339887498949) % 1), v = 0.95, p = v * 0.2;
  const t = v * (1 - 0.8 * Math.abs(hue % 2 - 1));
  const rgb = [[v, t, p], [t, v, p], [p, v, t], [p, t, v], [t, p, v], [v, p, t]][Math.floor(hue)];
  return rgb.map(x => Math.round(255 * x));
}
const paint = c => `rgb(${c.join(" ")})`;
const swatch = background => {
  const e = el("i");
  e.style.backgroundColor = background;
  return e;
};

function say(node, text, bad) {
  node.textContent = text;
  node.classList.toggle("bad", !!bad);
}

/* ---- asking the server ---- */

let token = sessionStorage.getItem("token") || "";

async function ask(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = "Bearer " + token;
  const answer = await fetch(path, { cache: "no-store", ...options, headers })
    .catch(() => { throw new Error("The server does not answer."); });
  if (answer.ok) return answer;
  let why = `the server says ${answer.status}`;
  try { why = (await answer.json()).error || why; } catch { /* an answer without JSON */ }
  throw Object.assign(new Error(why), { status: answer.status });
}
const askJson = async (path, options) => (await ask(path, options)).json();

/* ---- a picture ---- */

let picture = null; /* {blob, bitmap} */
let answer = null;
let asking = false, again = false; /* `again`: something else is wanted than what is asked for */

function fit(bitmap) {
  const view = $("view");
  view.width = bitmap.width;
  view.height = bitmap.height;
  /* A small picture is shown larger than it is. */
  view.style.width = bitmap.width < 480 ? Math.min(480, 3 * bitmap.width) + "px" : "";
  view.hidden = false;
  $("empty").hidden = true;
  $("drop").classList.add("full");
}

function tag(g, text, x, y, background, scale) {
  g.font = `600 ${15 * scale}px system-ui, sans-serif`;
  const w = g.measureText(text).width + 12 * scale, h = 23 * scale;
  x = Math.max(0, Math.min(x, g.canvas.width - w));
  y = y >= h ? y - h : y;
  g.fillStyle = paint(background);
  g.fillRect(x, y, w, h);
  g.fillStyle = background[0] * 299 + background[1] * 587 + background[2] * 114 > 140000 ? "#000" : "#fff";
  g.fillText(text, x + 6 * scale, y + 16.5 * scale);
}

const BONES = [[5, 7], [7, 9], [6, 8], [8, 10], [5, 6], [5, 11], [6, 12], [11, 12], [11, 13], [13, 15], [12, 14], [14, 16],
  [0, 1], [0, 2], [1, 3], [2, 4]];

function drawPose(g, pose, index, line) {
  const seen = p => p && p[2] >= 0.2;
  g.strokeStyle = paint(color(index));
  for (const [a, b] of BONES) {
    const from = pose.keypoints[a], to = pose.keypoints[b];
    if (!seen(from) || !seen(to)) continue;
    g.beginPath();
    g.moveTo(from[0], from[1]);
    g.lineTo(to[0], to[1]);
    g.stroke();
  }
  g.fillStyle = "#fff";
  for (const p of pose.keypoints.filter(seen)) {
    g.beginPath();
    g.arc(p[0], p[1], 1.6 * line, 0, 7);
    g.fill();
    g.stroke();
  }
}

async function drawMask(g, png) {
  const raw = Uint8Array.from(atob(png), c => c.charCodeAt(0));
  const map = await createImageBitmap(new Blob([raw], { type: "image/png" }), { colorSpaceConversion: "none" });
  const layer = new OffscreenCanvas(map.width, map.height), lg = layer.getContext("2d");
  lg.drawImage(map, 0, 0);
  const pixels = lg.getImageData(0, 0, map.width, map.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const id = pixels.data[i];
    const c = id && id !== 255 ? color(id) : [0, 0, 0];
    pixels.data.set([...c, id && id !== 255 ? 140 : 0], i);
  }
  lg.putImageData(pixels, 0, 0);
  g.drawImage(layer, 0, 0, g.canvas.width, g.canvas.height);
}

/* What an answer holds, whatever its task: [{name, score, color, text}]. */
function things(a) {
  const percent = x => (100 * x).toFixed(x < 0.1 ? 1 : 0) + " %";
  if (a.detections)
    return a.detections.map(d => ({ name: d.class, id: d.class_id, box: d.bbox, text: percent(d.confidence) }));
  if (a.predictions)
    return a.predictions.map(p => ({ name: p.label || "class " + p.class_id, id: p.class_id, text: percent(p.probability) }));
  if (a.poses)
    return a.poses.map((p, i) => ({ name: "person " + (i + 1), id: i, pose: p, text: percent(p.score) }));
  return (a.segments || []).filter(s => s.share >= 0.005)
    .map(s => ({ name: s.class, id: s.class_id, text: percent(s.share) }));
}

async function draw() {
  const g = $("view").getContext("2d");
  const scale = Math.max(1, Math.max(g.canvas.width, g.canvas.height) / 800);
  g.drawImage(picture.bitmap, 0, 0);
  if (!answer) return;
  g.lineWidth = 3 * scale;
  g.lineJoin = "round";
  if (answer.mask_png) await drawMask(g, answer.mask_png);
  for (const t of things(answer).reverse()) {
    if (t.pose) drawPose(g, t.pose, t.id, g.lineWidth);
    if (!t.box) continue;
    const [x0, y0, x1, y1] = t.box;
    g.strokeStyle = paint(color(t.id));
    g.strokeRect(x0, y0, x1 - x0, y1 - y0);
    tag(g, `${t.name} ${t.text}`, x0 - g.lineWidth / 2, y0, color(t.id), scale);
  }
}

const STAGES = [["queue", "--c5"], ["decode", "--c4"], ["preprocess", "--c3"], ["compute", "--c1"], ["postprocess", "--c2"]];

function showTiming(times, device) {
  const total = STAGES.reduce((sum, [name]) => sum + times[name], 0);
  $("timing").hidden = false;
  $("total").textContent = `${ms(total)} ms on ${device}`;
  $("split").replaceChildren(...STAGES.map(([name, c]) => {
    const part = swatch(`var(${c})`);
    part.style.flex = `${times[name]} 0 0`;
    return part;
  }));
  $("stages").replaceChildren(...STAGES.map(([name, c]) =>
    el("div", {}, el("dt", {}, swatch(`var(${c})`), name), el("dd", { textContent: ms(times[name]) + " ms" }))));
}

function showFound() {
  const list = things(answer);
  $("found").replaceChildren(...list.map(t =>
    el("li", {}, swatch(paint(color(t.id))), el("b", { textContent: t.name }), el("data", { textContent: t.text }))));
  const text = list.length ? list.map(t => `${t.name} ${t.text}`).join(", ") : "nothing above the least score";
  $("view").setAttribute("aria-label", `The picture, and on it: ${text}`);
  say($("message"), list.length ? `${answer.model}, version ${answer.version}: ${list.length} found` : "Nothing found above the least score.");
}

async function lookOnce() {
  const asked = picture;
  const query = new URLSearchParams({ upright: 1, mask: 1, threshold: $("threshold").value });
  if ($("model").value) query.set("model", $("model").value);
  try {
    const got = await askJson("/infer?" + query + "&top=25", {
      method: "POST", body: picture.blob, headers: { "Content-Type": picture.blob.type || "application/octet-stream" } });
    if (again || picture !== asked) return;
    answer = got;
    if (answer.predictions) answer.predictions = answer.predictions.slice(0, 5);
    showFound();
    showTiming(answer.times_ms, answer.device);
    $("save").disabled = false;
  } catch (error) {
    if (again || picture !== asked) return;
    answer = null;
    $("found").replaceChildren();
    $("timing").hidden = true;
    say($("message"), error.message, true);
  }
  await draw();
}

/* One request at a time. An answer for a picture, a model or a least score that is no more wanted is not shown. */
async function look() {
  again = asking;
  if (!picture || asking) return;
  asking = true;
  do {
    again = false;
    await lookOnce();
  } while (again);
  asking = false;
}

async function take(blob) {
  stopCamera();
  try {
    picture = { blob, bitmap: await createImageBitmap(blob) };
  } catch {
    say($("message"), "This browser cannot show that picture.", true);
    return;
  }
  answer = null;
  fit(picture.bitmap);
  await draw();
  await look();
}

const imageOf = list => [...(list || [])].find(f => f.type.startsWith("image/"));

$("choose").onclick = () => $("file").click();
$("file").onchange = () => { if ($("file").files[0]) take($("file").files[0]); $("file").value = ""; };
addEventListener("paste", e => { const f = imageOf(e.clipboardData.files); if (f) take(f); });
addEventListener("dragover", e => { e.preventDefault(); $("drop").classList.add("over"); });
addEventListener("dragleave", e => { if (!e.relatedTarget) $("drop").classList.remove("over"); });
addEventListener("drop", e => {
  e.preventDefault();
  $("drop").classList.remove("over");
  const f = imageOf(e.dataTransfer.files);
  if (f) take(f); else say($("message"), "That is no picture.", true);
});
$("model").onchange = look;
$("threshold").oninput = () => { $("threshold-v").textContent = (+$("threshold").value).toFixed(2); };
$("threshold").onchange = look;
$("save").onclick = () => $("view").toBlob(blob => {
  const link = el("a", { href: URL.createObjectURL(blob), download: "scree.png" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

/* ---- the camera ---- */

let stream = null;

function stopCamera() {
  if (!stream) return;
  stream.getTracks().forEach(t => t.stop());
  stream = null;
  $("camera").setAttribute("aria-pressed", "false");
}

async function film() {
  const video = $("video"), still = new OffscreenCanvas(1, 1);
  while (stream) {
    if (video.videoWidth) {
      const scale = Math.min(1, 640 / video.videoWidth);
      still.width = Math.round(video.videoWidth * scale);
      still.height = Math.round(video.videoHeight * scale);
      still.getContext("2d").drawImage(video, 0, 0, still.width, still.height);
      const blob = await still.convertToBlob({ type: "image/jpeg", quality: 0.85 });
      picture = { blob, bitmap: await createImageBitmap(blob) };
      fit(picture.bitmap);
      await look();
    }
    await new Promise(go => setTimeout(go, 60));
  }
}

$("camera").onclick = async () => {
  if (stream) { stopCamera(); return; }
  try {
    if (!navigator.mediaDevices) throw new Error("Browsers give a camera only to pages by HTTPS, or of this machine.");
    stream = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    say($("message"), error.message, true);
    return;
  }
  $("camera").setAttribute("aria-pressed", "true");
  $("video").srcObject = stream;
  await $("video").play();
  film();
};

/* ---- charts ---- */

const N_POINTS = 90, PERIOD_MS = 2000;

class Chart {
  constructor(title, unit, lines) {
    this.unit = unit;
    this.lines = lines.map(([name, c]) => ({ name, c, points: [] }));
    this.value = el("span", { textContent: "–" });
    this.canvas = el("canvas");
    this.canvas.setAttribute("role", "img");
    this.title = title;
    const key = el("p", { className: "key" }, ...this.lines.map(l => el("span", {}, swatch(`var(${l.c})`), l.name)));
    $("charts").append(el("div", { className: "chart" }, el("h3", {}, title, this.value), this.canvas, key));
  }

  add(values) {
    this.lines.forEach((l, i) => {
      l.points.push(values[i]);
      if (l.points.length > N_POINTS) l.points.shift();
    });
    const known = this.lines.filter((l, i) => values[i] !== null);
    const show = x => this.unit === "%" ? x.toFixed(0) : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : +x.toFixed(2);
    this.value.textContent = known.length ? known.map(l => show(l.points.at(-1))).join(" · ") + " " + this.unit : "no requests";
    this.canvas.setAttribute("aria-label", `${this.title} over three minutes; now ` +
      (known.map(l => `${l.name} ${show(l.points.at(-1))} ${this.unit}`.trim()).join(", ") || "no requests"));
    this.draw();
  }

  draw() {
    const canvas = this.canvas, ratio = devicePixelRatio || 1;
    const w = canvas.clientWidth, h = canvas.clientHeight, left = 34;
    canvas.width = w * ratio;
    canvas.height = h * ratio;
    const g = canvas.getContext("2d");
    g.scale(ratio, ratio);
    const values = this.lines.flatMap(l => l.points).filter(x => x !== null);
    const top = nice(Math.max(this.unit === "%" ? 100 : 1, ...values));
    g.font = "11px system-ui, sans-serif";
    g.fillStyle = css("--soft");
    g.strokeStyle = css("--line");
    g.lineWidth = 1;
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const part of [0, 0.5, 1]) {
      const y = Math.round(8 + (h - 16) * (1 - part)) + 0.5;
      g.beginPath();
      g.moveTo(left, y);
      g.lineTo(w, y);
      g.stroke();
      g.fillText(values.length ? +(top * part).toPrecision(3) : "", left - 6, y);
    }
    g.lineJoin = "round";
    for (const l of this.lines) {
      g.strokeStyle = g.fillStyle = css(l.c);
      g.lineWidth = 2;
      g.beginPath();
      let is_down = false;
      l.points.forEach((value, i) => {
        if (value === null) { is_down = false; return; }
        const x = left + (w - left - 3) * (N_POINTS - l.points.length + i) / (N_POINTS - 1);
        const y = 8 + (h - 16) * (1 - value / top);
        if (is_down) g.lineTo(x, y); else g.moveTo(x, y);
        if (!is_down && l.points[i + 1] == null) g.rect(x - 1, y - 1, 2, 2);
        is_down = true;
      });
      g.stroke();
    }
  }
}

/* The round number at or above x. */
function nice(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * [1, 2, 5, 10].find(step => step * power >= x * 0.9999);
}

const charts = [
  new Chart("Requests", "/s", [["answered", "--c1"], ["refused", "--c2"]]),
  new Chart("Time of a request", "ms", [["p50", "--c1"], ["p95", "--c4"], ["p99", "--c2"]]),
  new Chart("In line, in work", "", [["waiting", "--c2"], ["busy", "--c1"]]),
  new Chart("Instances busy", "%", [["NPU", "--c1"], ["CPU", "--c4"]]),
];

/* Prometheus' text: name -> [[labels, value]]. */
function parseMetrics(text) {
  const all = {};
  for (const line of text.split("\n")) {
    const m = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!m) continue;
    const labels = Object.fromEntries([...(m[2] || "").matchAll(/(\w+)="([^"]*)"/g)].map(x => [x[1], x[2]]));
    (all[m[1]] ||= []).push([labels, +m[3]]);
  }
  return all;
}

const sum = (series, test = () => true) => (series || []).reduce((n, [labels, v]) => n + (test(labels) ? v : 0), 0);
const OURS = labels => labels.api !== "other";

/* Counts at and below each bound, of all APIs that answer with inferences. */
function buckets(metrics) {
  const counts = {};
  for (const [labels, v] of metrics.npu_request_duration_seconds_bucket || [])
    if (OURS(labels)) counts[labels.le] = (counts[labels.le] || 0) + v;
  return counts;
}

/* The quantile of what came between two readings, in ms; within a bucket evenly spread. */
function quantile(q, now, before) {
  const bounds = Object.keys(now).map(le => [le === "+Inf" ? Infinity : +le, now[le] - (before[le] || 0)]).sort((a, b) => a[0] - b[0]);
  const total = bounds.length ? bounds.at(-1)[1] : 0;
  if (total <= 0) return null;
  let low = 0, below = 0;
  for (const [bound, count] of bounds) {
    if (count >= q * total)
      return 1000 * (bound === Infinity ? low : low + (bound - low) * (q * total - below) / Math.max(1e-9, count - below));
    low = bound;
    below = count;
  }
  return null;
}

let last = null;

function chart(metrics, stats) {
  /* A rate of a moment says nothing. */
  if (last && performance.now() - last.t < PERIOD_MS / 2) return;
  const now = { t: performance.now(), buckets: buckets(metrics), busy: { npu: 0, cpu: 0 }, n: { npu: 0, cpu: 0 },
    ok: sum(metrics.npu_requests_total, l => OURS(l) && l.code === "200"), refused: sum(metrics.npu_request_rejected_total) };
  const loaded = stats.models.filter(m => m.counts);
  const where = Object.fromEntries(loaded.map(m => [m.name, m.device === "cpu" ? "cpu" : "npu"]));
  for (const m of loaded) now.n[where[m.name]] += m.counts.instances;
  for (const [labels, v] of metrics.npu_instance_busy_seconds_total || [])
    now.busy[where[labels.model] || where[(labels.instance || "").split("/")[0]] || "cpu"] += v;
  const n = key => loaded.reduce((total, m) => total + m.counts[key], 0);
  if (last) {
    const s = (now.t - last.t) / 1000, rate = key => Math.max(0, now[key] - last[key]) / s;
    const busy = key => now.n[key] ? Math.min(100, Math.max(0, 100 * (now.busy[key] - last.busy[key]) / s / now.n[key])) : null;
    charts[0].add([rate("ok"), rate("refused")]);
    charts[1].add([0.5, 0.95, 0.99].map(q => quantile(q, now.buckets, last.buckets)));
    charts[3].add([busy("npu"), busy("cpu")]);
  }
  charts[2].add([n("waiting"), n("busy")]);
  last = now;
}

addEventListener("resize", () => charts.forEach(c => c.draw()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(c => c.draw()));

/* ---- models ---- */

const TASKS = { classify: "Classes", detect: "Boxes", segment: "Segments", pose: "Poses", tensors: "Tensors" };
let shown = "";

function fillChoice(models) {
  const names = [...new Set(models.filter(m => m.takes_pictures && m.task !== "tensors").map(m => m.name))];
  const select = $("model"), had = select.value;
  if ([...select.options].map(o => o.value).join() === names.join()) return;
  select.replaceChildren(...names.map(name => {
    const m = models.find(x => x.name === name);
    return el("option", { value: name, textContent: `${name} (${(TASKS[m.task] || m.task).toLowerCase()})` });
  }));
  const best = models.find(m => m.takes_pictures && m.task === "detect");
  select.value = names.includes(had) ? had : best ? best.name : names[0] || "";
}

async function change(name, verb, button) {
  button.setAttribute("aria-disabled", "true");
  button.onclick = null;
  say($("models-message"), `${verb === "load" ? "Loading" : "Unloading"} ${name} …`);
  try {
    await ask(`/v2/repository/models/${encodeURIComponent(name)}/${verb}`,
      { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } });
    say($("models-message"), `${name} is ${verb}ed.`);
  } catch (error) {
    const hint = error.status === 401 || error.status === 403 ? " A token may be given above, under Access." : "";
    say($("models-message"), error.message + "." + hint, true);
  }
  shown = "";
  await refresh();
}

/* The button of a version with this text, or the last one it has. */
function focusOn(model, text) {
  const same = [...$("models").querySelectorAll("button")].filter(b => b.dataset.model === model);
  (same.find(b => b.textContent === text) || same.at(-1))?.focus();
}

async function place(m) {
  const box = $("placement");
  const { nodes } = await askJson("/v1/placement?" + new URLSearchParams({ model: m.name, version: m.version }));
  const rows = nodes.map(n => el("tr", {}, el("td", { textContent: n.index }), el("td", { textContent: n.op }),
    el("td", { textContent: n.shape.join("×") }), el("td", { textContent: n.macs ? (n.macs / 1e6).toFixed(2) + " M" : "" }),
    el("td", { textContent: n.device }), el("td", { textContent: n.reason })));
  const head = ["#", "Operator", "Output", "MAC", "Runs on", "Why"].map(t => el("th", { scope: "col", textContent: t }));
  const close = el("button", { className: "small", textContent: "Close" });
  close.onclick = () => {
    box.hidden = true;
    focusOn(m.name + "/" + m.version, "Operators");
  };
  const title = el("h3", { textContent: `What runs where in ${m.name}, version ${m.version}`, tabIndex: -1 });
  const scroll = el("div", { className: "scroll", tabIndex: 0 }, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Operators of ${m.name}, a table`);
  box.replaceChildren(title, ...(m.note ? [el("p", { className: "hint", textContent: m.note })] : []), scroll, close);
  box.hidden = false;
  title.focus();
}

function row(m) {
  const total = m.counts ? Object.values(m.counts.mean_ms).reduce((a, b) => a + b, 0) : 0;
  const button = (text, label, action) => {
    const b = el("button", { className: "small", textContent: text });
    b.setAttribute("aria-label", `${text} ${m.name} ${label}`.trim());
    b.dataset.model = m.name + "/" + m.version;
    b.onclick = () => action(b);
    return b;
  };
  const acts = m.counts ? [button("Operators", m.version, () => place(m).catch(e => say($("models-message"), e.message, true))),
    button("Unload", "", b => change(m.name, "unload", b))] : [button("Load", "", b => change(m.name, "load", b))];
  return el("tr", {},
    el("td", {}, el("b", { textContent: m.name }), el("small", { textContent: `version ${m.version}` + (m.input ? `, ${m.input.join("×")}` : "") })),
    el("td", { textContent: m.task ? TASKS[m.task] : "" }),
    el("td", {}, m.device ? m.device.toUpperCase() : "", el("small", { textContent: m.counts ? `${m.npu_nodes} on NPU, ${m.cpu_nodes} on CPU` : "" })),
    el("td", {}, m.counts ? String(m.counts.ok) : "", el("small", { textContent: m.counts && m.counts.failed ? `${m.counts.failed} failed` : "" })),
    el("td", {}, m.counts && m.counts.ok ? ms(total) + " ms" : "", el("small", { textContent: m.counts && m.counts.ok ? `${ms(m.counts.mean_ms.compute)} in the model` : "" })),
    el("td", { textContent: m.bytes ? bytes(m.bytes) : "" }),
    el("td", { className: "wide" }, el("span", { className: m.counts ? "state" : "state off", textContent: m.state.toLowerCase() }), el("small", { textContent: m.reason || "" })),
    el("td", { className: "acts" }, ...acts));
}

function showModels(stats) {
  const text = JSON.stringify(stats.models);
  if (text === shown) return;
  shown = text;
  const active = $("models").contains(document.activeElement) ? document.activeElement : null;
  $("models").replaceChildren(...stats.models.map(row));
  /* The focus stays where it was, or on the button that is there now. */
  if (active) focusOn(active.dataset.model, active.textContent);
  if (!stats.models.length) $("models").append(el("tr", {}, el("td", { colSpan: 8, textContent: "No models." })));
}

function showFacts(stats) {
  const devices = [...new Set(stats.models.filter(m => m.device).map(m => m.device))];
  const up = stats.now - stats.start, unit = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([n]) => up >= n) || [1, "s"];
  $("device").textContent = devices.length ? devices.join(" + ") : "no model";
  $("facts").textContent = `version ${stats.version}, up ${Math.floor(up / unit[0])} ${unit[1]}, ` +
    `${stats.connections} connection${stats.connections === 1 ? "" : "s"}`;
}

let refreshing = 0, is_away = false;

async function refresh() {
  refreshing++;
  try {
    const stats = await askJson("/v1/stats");
    if (is_away) examine();
    is_away = false;
    fillChoice(stats.models);
    showModels(stats);
    showFacts(stats);
    chart(parseMetrics(await (await ask("/metrics", { headers: { Accept: "text/plain" } })).text()), stats);
  } catch (error) {
    $("device").textContent = error.status ? "closed" : "away";
    $("facts").textContent = error.status !== 401 ? error.message :
      token ? "The server does not take this token: see Access." : "This server asks for a token: see Access.";
    is_away = !error.status;
  }
  refreshing--;
}

/* ---- events ---- */

function showEvent(text) {
  const data = /^data: (.*)$/m.exec(text);
  if (!data) return;
  const e = JSON.parse(data[1]), list = e.detections || e.classes;
  const count = {};
  for (const t of list.slice(0, e.detections ? 20 : 1)) count[t.class] = (count[t.class] || 0) + 1;
  const what = Object.entries(count).map(([name, n]) => n > 1 ? `${n} × ${name}` : name).join(", ");
  const time = el("time", { textContent: new Date(1000 * e.time).toLocaleTimeString([], { hourCycle: "h23" }) });
  $("events").querySelector(".none")?.remove();
  $("events").prepend(el("li", {}, time, el("span", { textContent: `${what} (${e.model}, ${ms(e.inference_time_ms)} ms)` })));
  while ($("events").children.length > 40) $("events").lastChild.remove();
}

let listening = null, last_id = "";

async function listen() {
  listening?.abort();
  const mine = listening = new AbortController();
  while (!mine.signal.aborted) {
    try {
      const headers = last_id ? { "Last-Event-ID": last_id } : {};
      const answer = await ask("/v1/events", { headers: { ...headers, Accept: "text/event-stream" }, signal: mine.signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let part; !(part = await reader.read()).done;) {
        const blocks = (rest + part.value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          last_id = /^id: (\d+)$/m.exec(block)?.[1] || last_id;
          showEvent(block);
        }
      }
    } catch { /* tried again */ }
    await new Promise(go => setTimeout(go, 3000));
  }
}

/* ---- the doctor ---- */

async function examine() {
  try {
    const { findings } = await askJson("/v1/doctor");
    $("doctor").replaceChildren(...findings.map(f => el("li", {},
      el("b", { className: f.status, textContent: f.status === "ok" ? f.check : `${f.check}: ${f.status}` }), f.text,
      ...(f.command ? [el("code", { textContent: f.command, tabIndex: 0 })] : []))));
  } catch (error) {
    $("doctor").replaceChildren(el("li", { className: "none", textContent: error.message }));
  }
}

/* ---- all of it ---- */

$("access").onsubmit = e => {
  e.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  document.querySelector(".access").open = false;
  document.querySelector(".access summary").focus();
  shown = "";
  refresh();
  listen();
  examine();
};
$("token").value = token;
refresh();
examine();
listen();
setInterval(() => { if (!document.hidden && !refreshing) refresh(); }, PERIOD_MS);
