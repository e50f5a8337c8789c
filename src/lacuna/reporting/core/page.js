"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const plots = []; // {div, spec, group, menu}
  const failures = [];
  let content, chosen; // chosen: models in colour, the others are grey

  const fail = (reason) => {
    failures.push(String(reason));
    root.dataset.failures = failures.length;
    const box = document.getElementById("failed");
    box.hidden = false;
    box.textContent = "The figures could not be drawn: " + failures.join("; ");
  };
  addEventListener("error", (event) => fail(event.message));
  addEventListener("unhandledrejection", (event) => fail(event.reason));

  // Data are gzip in base85, the alphabet of Python's b85encode with , for < and . for &.
  const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%.()*+-;,=>?@^_`{|}~";
  const unpack = async (id) => {
    const text = document.getElementById(id).textContent, code = text.padEnd(5 * Math.ceil(text.length / 5), "~");
    const bytes = new DataView(new ArrayBuffer((code.length / 5) * 4));
    const digit = new Uint8Array(128);
    [...ALPHABET].forEach((c, i) => { digit[c.charCodeAt(0)] = i; });
    for (let i = 0; i < code.length; i += 5) {
      let value = 0;
      for (let j = i; j < i + 5; j++) value = value * 85 + digit[code.charCodeAt(j)];
      bytes.setUint32((i / 5) * 4, value);
    }
    return new Response(new Blob([bytes.buffer.slice(0, Math.floor((text.length * 4) / 5))]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  // ---- light and dark ------------------------------------------------------------------------------------------------
  const theme = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const look = (layout, name) => {
    const scale = layout.meta && layout.meta.scale;
    return { template: content.templates[name], ...(scale ? { "coloraxis.colorscale": content.scales[name][scale] } : {}) };
  };
  const paint = (name, more = {}) => plots.map(({ div }) => Plotly.relayout(div, { ...look(div.layout, name), ...more }));
  const button = document.getElementById("theme");
  button.addEventListener("click", () => {
    const themes = ["", "light", "dark"];
    const next = themes[(themes.indexOf(root.dataset.theme || "") + 1) % 3];
    if (next) root.dataset.theme = next; else delete root.dataset.theme;
    button.textContent = "Colours: " + (next || "system");
    paint(theme());
  });
  system.addEventListener("change", () => paint(theme()));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not(.table)").forEach((d) => { d.open = true; });
    paint("light", { width: 660 });
  });
  addEventListener("afterprint", () => paint(theme(), { width: null, autosize: true }));

  // ---- models in colour or grey ----------------------------------------------------------------------------------------
  const isModel = (trace) => trace.legendgroup && trace.legendgroup !== content.baseline;
  const inColour = (trace) => !chosen || chosen.has(trace.legendgroup);
  const role = (trace) => (trace.meta && trace.meta.role) || (trace.fill ? "band" : trace.mode === "markers" ? "dot" : "line");
  const recolour = ({ div, spec }) => {
    const indices = spec.data.map((trace, i) => i).filter((i) => isModel(spec.data[i]));
    if (!indices.length) return;
    const update = { visible: [], opacity: [], "line.color": [], "line.width": [], "marker.color": [], "marker.opacity": [], "error_x.color": [] };
    for (const trace of indices.map((i) => spec.data[i])) {
      const on = inColour(trace), { line = {}, marker = {}, error_x = {} } = trace, line_like = role(trace) === "line";
      update.visible.push(on || role(trace) !== "band");
      update.opacity.push(on ? trace.opacity ?? 1 : 0.5);
      update["line.color"].push(on ? line.color : content.grey);
      update["line.width"].push(on || !line_like ? line.width : 1);
      update["marker.color"].push(on ? marker.color : content.grey);
      update["marker.opacity"].push(on ? marker.opacity ?? 1 : line_like ? 0 : 0.6);
      update["error_x.color"].push(on ? error_x.color : content.grey);
    }
    return Plotly.restyle(div, update, indices);
  };
  const mark = () => {
    const chips = [...document.querySelectorAll("button.chip")];
    if (!chips.length) return;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(!chosen || chosen.has(chip.dataset.model)));
    const grey = chips.filter((chip) => chip.getAttribute("aria-pressed") === "false").length;
    document.getElementById("shown").textContent = grey ? `${chips.length - grey} of ${chips.length} in colour` : "";
  };
  const refresh = () => { plots.forEach((plot) => { recolour(plot); label(plot); }); mark(); };
  const every = () => [...document.querySelectorAll("button.chip")].map((chip) => chip.dataset.model);
  const chips = () => {
    const legend = document.querySelector(".legend");
    if (legend && matchMedia("(max-width: 1000px)").matches) legend.open = false; // the summary comes first
    for (const chip of document.querySelectorAll("button.chip")) {
      chip.addEventListener("click", () => {
        chosen ??= new Set(every());
        if (!chosen.delete(chip.dataset.model)) chosen.add(chip.dataset.model);
        refresh();
      });
    }
    for (const control of document.querySelectorAll("[data-all]")) {
      control.addEventListener("click", () => { chosen = new Set(control.dataset.all === "true" ? every() : []); refresh(); });
    }
  };

  // ---- names at the ends of curves ---------------------------------------------------------------------------------------
  const GAP = 14, CHAR = 6.4;
  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const label = ({ div, group }) => {
    const { xaxis, yaxis } = div._fullLayout;
    if (group !== "curves" || !yaxis.l2p) return;
    const most = Math.max(6, Math.floor((0.3 * div.clientWidth) / CHAR));
    const curves = div.data.filter((t) => role(t) === "baseline" || (role(t) === "line" && isModel(t) && inColour(t)));
    const ends = curves.flatMap((trace) => {
      const last = (trace.y || []).findLastIndex((y) => y !== null);
      if (last < 0) return [];
      const name = role(trace) === "baseline" ? "baseline" : trace.name;
      const text = name.length > most ? name.slice(0, most - 1) + "…" : name;
      return [{ text, x: trace.x[last], y: trace.y[last], mean: mean(trace.y), pixel: yaxis.l2p(trace.y[last]), color: trace.line.color }];
    });
    const baseline = ends.find((e) => e.text === "baseline");
    const shown = ends.filter((e) => e === baseline || !baseline || e.color !== content.grey || Math.abs(e.pixel - baseline.pixel) > 2);
    shown.sort((a, b) => Math.round((a.pixel - b.pixel) / 3) || b.mean - a.mean);
    shown.forEach((e, i) => { if (i) e.pixel = Math.max(e.pixel, shown[i - 1].pixel + GAP); });
    const bottom = yaxis._length - 5; // Plotly hides annotations outside the range
    const over = shown.length > 0 && shown.at(-1).pixel > bottom;
    for (let i = shown.length - 1, limit = Infinity; over && i >= 0; i--) {
      shown[i].pixel = Math.min(shown[i].pixel, i === shown.length - 1 ? bottom : limit - GAP);
      limit = shown[i].pixel;
    }
    const width = (e) => CHAR * e.text.length + 14;
    const right = Math.max(12, ...shown.map((e) => width(e) - (xaxis._length - xaxis.l2p(e.x))));
    const annotations = shown.map((e) => ({
      text: e.text.replaceAll("<", "&lt;"), x: e.x, y: yaxis.p2l(e.pixel), xref: "x", yref: "y",
      xanchor: "left", yanchor: "middle", xshift: 7, showarrow: false, font: { size: 12, color: e.color },
    }));
    return Plotly.relayout(div, { annotations, "margin.r": Math.round(right) });
  };

  // ---- menus: one set of native controls per group -----------------------------------------------------------------------
  const entries = (updatemenus) => updatemenus.flatMap((menu) => {
    const names = menu.name.split(content.split);
    return menu.buttons.map((b) => {
      const parts = b.label.split(content.split);
      return { values: Object.fromEntries(names.map((name, i) => [name, parts[i]])), args: b.args };
    });
  });
  const controls = (bar) => {
    const members = plots.filter((p) => p.group === bar.dataset.group && p.menu.length);
    const names = [...new Set(members.flatMap((m) => Object.keys(m.menu[0].values)))];
    const state = {}, inputs = {};
    const options = (name) => {
      const before = names.slice(0, names.indexOf(name));
      const fits = (e) => name in e.values && before.every((n) => !(n in e.values) || e.values[n] === state[n]);
      return [...new Set(members.flatMap((m) => m.menu.filter(fits)).map((e) => e.values[name]))];
    };
    const show = (member) => {
      const matches = (e) => Object.keys(e.values).filter((n) => e.values[n] === state[n]).length;
      const same = member.menu.filter((e) => ["Model", "Missing data"].every((n) => !(n in e.values) || e.values[n] === state[n]));
      const entry = same.sort((a, b) => matches(b) - matches(a))[0];
      const figure = member.div.closest("figure");
      if (figure.hidden && entry) { figure.hidden = false; Plotly.Plots.resize(member.div); }
      figure.hidden = !entry;
      if (!entry || entry === member.current) return;
      member.current = entry;
      const [data, layout] = entry.args;
      Plotly.update(member.div, data, layout || {});
      label(member);
    };
    const update = () => {
      for (const name of names) {
        const list = options(name), { element, output, label: box } = inputs[name];
        if (!list.includes(state[name])) [state[name]] = list;
        box.hidden = list.length < 2;
        if (output) {
          element.max = list.length - 1;
          element.value = list.indexOf(state[name]);
          output.textContent = state[name];
          element.setAttribute("aria-valuetext", state[name]);
        } else if (element.options.length !== list.length || list.some((text, i) => element.options[i].value !== text)) {
          element.replaceChildren(...list.map((text) => new Option(text, text)));
        }
        if (!output) element.value = state[name];
      }
      members.forEach(show);
    };
    for (const name of names) {
      const slides = name === "Missing rate";
      const element = document.createElement(slides ? "input" : "select");
      const output = slides ? document.createElement("output") : null;
      const box = document.createElement("label");
      if (slides) Object.assign(element, { type: "range", min: 0, step: 1 });
      element.addEventListener("input", () => { state[name] = slides ? options(name)[element.value] : element.value; update(); });
      box.append(name, element, ...(output ? [output] : []));
      bar.append(box);
      inputs[name] = { element, output, label: box };
    }
    members.forEach((m) => { [m.current] = m.menu; });
    update();
  };

  // ---- drawing -----------------------------------------------------------------------------------------------------------
  const save = (div, title) => Plotly.downloadImage(
    {
      data: div.data,
      layout: { ...div.layout, template: content.templates.light, paper_bgcolor: "#fff", title: { text: title }, showlegend: true, margin: { l: 70, r: 20, t: 60, b: 60 } },
    },
    { format: "svg", width: 900, height: Math.max(500, div.layout.height), filename: `${content.file}-${title}`.replace(/[^\w-]+/g, "-") },
  );
  const draw = async (spec, index) => {
    const div = document.getElementById(`plot-${index}`);
    const heading = document.getElementById(`title-${index}`).textContent;
    const { updatemenus = [], title: _, ...layout } = spec.layout; // the page has its own controls and headings
    Object.assign(layout, { template: content.templates[theme()], margin: { l: 48, r: 12, t: 12, b: 44 }, autosize: true });
    if (layout.xaxis.side === "top") layout.margin = { l: 48, r: 12, t: 36, b: 8 };
    if (spec.data.some((trace) => trace.legendgroup)) layout.showlegend = false;
    if (layout.meta.scale) layout.coloraxis = { ...layout.coloraxis, colorscale: content.scales[theme()][layout.meta.scale] };
    const plot = { div, spec: structuredClone(spec), group: content.groups[index], menu: entries(updatemenus) };
    await Plotly.newPlot(div, spec.data, layout, { responsive: true, displayModeBar: false });
    await recolour(plot);
    await label(plot);
    document.querySelector(`.save[data-plot="${index}"]`).addEventListener("click", () => save(div, heading));
    plots.push(plot);
  };
  const start = async () => {
    if (typeof DecompressionStream === "undefined") {
      fail("this browser is too old. Use Chrome 80, Firefox 113, Safari 16.4 or newer. All numbers are in the tables");
      return;
    }
    content = JSON.parse(await unpack("content"));
    chosen = content.shown && new Set(content.shown);
    mark();
    chips();
    const script = document.createElement("script");
    script.textContent = await unpack("plotly");
    document.head.append(script);
    for (const [index, spec] of content.figures.entries()) {
      try { await draw(spec, index); } catch (error) { fail(`figure ${index + 1}: ${error.message}`); }
      root.dataset.drawn = index + 1;
      await new Promise((done) => setTimeout(done)); // keeps the page responsive while figures are drawn
    }
    document.querySelectorAll(".controls").forEach(controls);
    root.dataset.ready = "true";
  };
  start();
})();
