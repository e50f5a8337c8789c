// The page of `lacuna serve`. All text goes into the page as textContent, never as HTML.
"use strict";
const at = (id) => document.getElementById(id);
const state = { about: null, file: null, key: null, all: null, recorder: null, request: 0 };

function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}
const percent = (p) => `${(100 * p).toFixed(0)} %`;
const width = (p) => `${100 * p}%`;
const signed = (x, digits) => {
  const size = Math.abs(x).toFixed(digits);
  return Number(size) === 0 ? "\u00b10" : (x < 0 ? "\u2212" : "+") + size;
};
const colour = (name) => `c${Math.max(0, state.about.classes.indexOf(name)) % 8}`;
const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;

function fail(message) {
  at("error").textContent = message;
  at("error").hidden = !message;
}

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("the server does not answer\n  do: check that `lacuna serve` still runs");
  }
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error || `the server answered ${response.status}`);
  return answer;
}

function choose(file) {
  state.file = file;
  at("chosen").textContent = file ? `${file.name}, ${(file.size / 1e6).toFixed(1)} MB` : "no file chosen";
}

async function send() {
  fail("");
  const { about, file } = state, text = at("text").value.trim();
  if (!file && !text) return fail("there is nothing to send: choose a recording" + (about.modalities.text ? ", or write a transcript" : ""));
  if (file && file.size > about.megabytes * 1e6) return fail(`the recording is too large\n  expected: at most ${about.megabytes} MB\n  found: ${(file.size / 1e6).toFixed(1)} MB`);
  const query = new URLSearchParams();
  if (file) query.set("name", file.name);
  if (text) query.set("text", text);
  if (at("turns").value) query.set("turns", at("turns").value);
  at("send").disabled = true;
  at("status").textContent = "Computing the features ...";
  state.request++;
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    const answer = await ask(`api/recordings?${query}`, { method: "POST", body: file || "", headers });
    state.key = answer.key;
    state.all = answer;
    play(file);
    switches(answer);
    show(answer, []);
    at("title").textContent = file ? file.name : "Transcript";
    at("answer").hidden = false;
  } catch (error) {
    fail(error.message);
  } finally {
    at("send").disabled = false;
    at("status").textContent = "";
  }
}

function play(file) {
  const player = at("player");
  if (player.src) URL.revokeObjectURL(player.src);
  player.hidden = !file;
  player.removeAttribute("src");
  if (!file) return;
  player.className = "";
  player.onloadedmetadata = () => { player.className = player.videoWidth ? "" : "sound"; };
  player.onerror = () => { player.hidden = true; };
  player.src = URL.createObjectURL(file);
}

function switches(answer) {
  at("switches").replaceChildren(...Object.keys(state.about.modalities).map((name) => {
    const label = make("label"), box = document.createElement("input"), observed = answer.observed.includes(name);
    box.type = "checkbox";
    box.name = name;
    box.checked = observed;
    box.disabled = !observed;
    box.addEventListener("change", change);
    label.append(box, observed ? name : `${name} (absent)`);
    return label;
  }));
}

async function change() {
  const boxes = [...at("switches").querySelectorAll("input:enabled")];
  const dropped = boxes.filter((box) => !box.checked).map((box) => box.name);
  const request = ++state.request;
  fail("");
  if (dropped.length === boxes.length) return fail("nothing is left to predict from: switch a modality on");
  const query = new URLSearchParams(dropped.map((name) => ["drop", name]));
  try {
    const answer = await ask(`api/recordings/${state.key}?${query}`);
    if (request === state.request) show(answer, dropped); // an older answer may arrive later
  } catch (error) {
    fail(error.message);
  }
}

function show(answer, dropped) {
  const end = (turn) => turn.end ?? answer.seconds ?? turn.start + 1;
  const total = Math.max(answer.seconds || 0, ...answer.turns.map(end), 0.1);
  at("strip").replaceChildren(...answer.turns.map((turn, index) => {
    const name = turn.predicted ?? (turn.value === null ? "?" : turn.value.toFixed(2));
    const part = make("button", name, `${turn.predicted ? colour(turn.predicted) : "c7"}${turn.sure === false ? " unsure" : ""}`);
    part.type = "button";
    part.title = `${clock(turn.start)} to ${clock(end(turn))}: ${name}`;
    part.style.left = width(turn.start / total);
    part.style.width = width((end(turn) - turn.start) / total);
    part.addEventListener("click", () => {
      at("list").children[index].scrollIntoView({ behavior: "smooth", block: "nearest" });
      if (!at("player").hidden) at("player").currentTime = turn.start;
    });
    return part;
  }));
  const cards = answer.turns.map((turn, index) => card(turn, state.all.turns[index], clock(turn.start), clock(end(turn)), dropped));
  const failed = answer.failed.map((turn) => make("li", `${clock(turn.start)}: no answer. ${turn.reason}`, "failed"));
  at("list").replaceChildren(...cards, ...failed);
  const strip = answer.turns.some((turn) => turn.sure === false) ? ["Striped: not sure enough."] : [];
  const mark = dropped.length ? ["A vertical mark shows the probability with all modalities."] : [];
  at("notes").replaceChildren(...[...strip, ...mark, ...answer.notes].map((note) => make("li", note)));
  document.documentElement.dataset.answer = state.request;
}

function card(turn, before, from, to, dropped) {
  const item = make("li"), head = make("p", "", "head"), facts = make("dl", "", "facts");
  const classes = Object.keys(turn.probabilities), isClass = classes.length > 0;
  const fact = (name, text) => text && facts.append(make("dt", name), make("dd", text));
  head.append(make("span", `${from} to ${to}`, "soft"));
  if (isClass) head.append(make("strong", turn.predicted ?? "no answer"));
  else head.append(make("strong", turn.value === null ? "no answer" : turn.value.toFixed(2)));
  if (isClass && turn.predicted) head.append(make("span", `confidence ${percent(turn.confidence)}`, "soft"));
  if (turn.sure === false) head.append(make("span", "not sure enough", "badge"));
  item.append(head);
  if (isClass) {
    const bars = make("div", "", "bars");
    for (const name of classes) {
      const bar = make("div", "", "bar"), fill = make("i", "", colour(name));
      fill.style.width = width(turn.probabilities[name]);
      bar.append(fill);
      if (dropped.length) {
        const mark = document.createElement("b");
        mark.style.left = width(before.probabilities[name]);
        bar.append(mark);
      }
      bars.append(make("span", name), bar, make("span", percent(turn.probabilities[name])));
    }
    item.append(bars);
    if (dropped.length) fact("With all", `${before.predicted ?? "no answer"}, ${percent(before.confidence)}`);
    if (turn.set.length > 1) fact("Possible", turn.set.join(", "));
  } else {
    if (turn.low !== null) fact("Interval", `${turn.low.toFixed(2)} to ${turn.high.toFixed(2)}`);
    if (dropped.length && before.value !== null) fact("With all", before.value.toFixed(2));
  }
  for (const [name, reason] of Object.entries(turn.absent)) fact(`${name} absent`, reason);
  for (const [name, reason] of Object.entries(turn.problems)) fact(`${name} in part`, reason);
  fact("Filled in", turn.recovered.join(", "));
  for (const [name, other] of Object.entries(turn.without)) fact(`Without ${name}`, effect(turn, other));
  if (facts.children.length) item.append(facts);
  if (turn.evidence) item.append(evidence(turn));
  return item;
}

const PARTS = { prior: "before any observation", interaction: "modalities together", context: "other turns" };

// What each part adds; for classes in nats of log-odds, so that the parts sum to the log-odds of the answer.
function evidence(turn) {
  const { against, parts } = turn.evidence, unit = against === null ? "" : " nats";
  const list = make("div", "", "evidence"), largest = Math.max(...Object.values(parts).map(Math.abs), 1e-9);
  const sum = Object.values(parts).reduce((a, b) => a + b, 0);
  const title = against === null ? "What the value is made of" : `Evidence for ${turn.predicted} against ${against}`;
  list.append(make("p", `${title}: sum ${signed(sum, 2)}${unit}`, "soft"));
  const bars = make("div", "", "bars");
  for (const [name, value] of Object.entries(parts)) {
    const bar = make("div", "", "bar both"), fill = make("i", "", value < 0 ? "against" : "for");
    fill.style.left = width(value < 0 ? (1 + value / largest) / 2 : 0.5);
    fill.style.width = width(Math.abs(value) / largest / 2);
    bar.append(fill);
    bars.append(make("span", PARTS[name] ?? name), bar, make("span", signed(value, 2)));
  }
  list.append(bars);
  return list;
}

// What changes if one more modality is left out.
function effect(turn, other) {
  if (turn.value !== null && other.value !== null) return `${other.value.toFixed(2)} (${signed(other.value - turn.value, 2)})`;
  if (!turn.predicted) return "";
  const now = turn.probabilities[turn.predicted], then = other.probabilities[turn.predicted];
  const best = Object.keys(other.probabilities).reduce((a, b) => (other.probabilities[b] > other.probabilities[a] ? b : a));
  const points = `${turn.predicted} ${percent(then)} (${signed(100 * (then - now), 0)} points)`;
  return best === turn.predicted ? points : `${points}; the answer would be ${best}`;
}

async function record(button, video) {
  if (state.recorder) return state.recorder.stop();
  fail("");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true, video });
  } catch (error) {
    return fail(`the browser gives no access to the ${video ? "camera or microphone" : "microphone"}: ${error.message}`);
  }
  const label = button.textContent, pieces = [], recorder = new MediaRecorder(stream);
  const stop = setTimeout(() => recorder.stop(), 1000 * state.about.seconds);
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", () => {
    clearTimeout(stop);
    stream.getTracks().forEach((track) => track.stop());
    const type = recorder.mimeType.split(";")[0];
    choose(new File(pieces, type.endsWith("mp4") ? "recording.mp4" : "recording.webm", { type }));
    state.recorder = null;
    button.textContent = label;
    button.classList.remove("on");
  });
  state.recorder = recorder;
  button.textContent = "Stop recording";
  button.classList.add("on");
  recorder.start();
}

async function start() {
  state.about = await ask("api/about");
  const { about } = state;
  at("model").textContent = about.model;
  at("limits").textContent = `At most ${about.megabytes} MB and ${about.seconds} s.`;
  at("file").accept = about.suffixes.join(",");
  at("text").maxLength = about.characters;
  at("words").hidden = !about.modalities.text;
  const canRecord = Boolean(navigator.mediaDevices && window.MediaRecorder);
  at("sound").hidden = !canRecord || !about.modalities.audio;
  at("camera").hidden = !canRecord || !about.modalities.vision;
  at("sound").addEventListener("click", () => record(at("sound"), false));
  at("camera").addEventListener("click", () => record(at("camera"), true));
  at("file").addEventListener("change", () => choose(at("file").files[0] || null));
  at("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  const drop = at("drop");
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); choose(event.dataTransfer.files[0] || null); });
  document.documentElement.dataset.ready = "true";
}
start().catch((error) => fail(error.message));
