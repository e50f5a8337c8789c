"use strict";
(() => {
  const root = document.documentElement;
  const content = JSON.parse(document.getElementById("content").textContent);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const hidden = new Set(content.hidden);
  const CONSTANT = [...document.querySelectorAll(".chip")].at(-1)?.dataset.model; // a page may have no models to choose from
  const plots = []; // {div, group, menus, sliders}
  const failures = [];

  const fail = (what) => {
    failures.push(String(what));
    root.dataset.failures = failures.length;
    const box = document.getElementById("failed");
    box.hidden = false;
    box.textContent = "Something on this page could not be drawn: " + failures.join("; ");
  };
  addEventListener("error", (event) => fail(event.message));
  addEventListener("unhandledrejection", (event) => fail(event.reason));

  // ---- light and dark ------------------------------------------------------------------------------------------------
  const theme = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const look = (layout, name) => {
    const scale = layout.meta && layout.meta.scale;
    return { template: content.templates[name], ...(scale ? { "coloraxis.colorscale": content.scales[name][scale] } : {}) };
  };
  const paint = (name, more = {}) => plots.map(({ div }) => Plotly.relayout(div, { ...look(div.layout, name), ...more }));
  const choices = ["", "light", "dark"];
  const button = document.getElementById("theme");
  button.addEventListener("click", () => {
    const next = choices[(choices.indexOf(root.dataset.theme || "") + 1) % 3];
    if (next) root.dataset.theme = next; else delete root.dataset.theme;
    button.textContent = "Colours: " + (next || "system");
    paint(theme());
  });
  system.addEventListener("change", () => paint(theme()));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((d) => { d.open = true; });
    paint("light", { width: 660 });
  });
  addEventListener("afterprint", () => paint(theme(), { width: null, autosize: true }));

  // ---- models: one legend for all figures ------------------------------------------------------------------------------
  const shown = (trace) => !hidden.has(trace.legendgroup) && !(trace.meta && trace.meta.constant && hidden.has(CONSTANT));
  const refresh = () => {
    for (const { div } of plots) {
      const own = div.data.map((trace, i) => [trace, i]).filter(([trace]) => trace.legendgroup);
      if (own.length) Plotly.restyle(div, { visible: own.map(([trace]) => shown(trace)) }, own.map(([, i]) => i));
    }
    mark();
  };
  const mark = () => {
    const chips = [...document.querySelectorAll(".chip")];
    if (!chips.length) return;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(!hidden.has(chip.dataset.model)));
    const models = chips.length - 1;
    const gone = [...hidden].filter((name) => name !== CONSTANT).length;
    document.getElementById("shown").textContent = gone ? `${models - gone} of ${models} shown` : "";
  };
  for (const chip of document.querySelectorAll(".chip")) {
    chip.addEventListener("click", () => {
      const name = chip.dataset.model;
      if (!hidden.delete(name)) hidden.add(name);
      refresh();
    });
  }
  for (const control of document.querySelectorAll("[data-all]")) {
    control.addEventListener("click", () => {
      document.querySelectorAll(".chip").forEach((chip) => {
        if (control.dataset.all === "true") hidden.delete(chip.dataset.model);
        else if (chip.dataset.model !== CONSTANT) hidden.add(chip.dataset.model);
      });
      refresh();
    });
  }

  // ---- controls: Plotly's dropdowns and sliders become the browser's own, one set a group -------------------------------
  const apply = (div, choice) => {
    if (!choice) return;
    const [data, layout] = choice.args;
    const wanted = Object.keys(data).length ? data : {};
    Plotly.update(div, wanted, layout || {});
  };
  const labelled = (name, element) => {
    const label = document.createElement("label");
    label.append(name, element);
    return label;
  };
  const dropdown = (members, name) => {
    const lists = members.map((m) => m.menus.find((menu) => menu.name === name));
    const labels = [...new Set(lists.flatMap((menu) => (menu ? menu.buttons.map((b) => b.label) : [])))];
    if (labels.length < 2) return null;
    const select = document.createElement("select");
    labels.forEach((text) => select.add(new Option(text, text)));
    select.addEventListener("change", () => {
      members.forEach((m, i) => apply(m.div, lists[i] && lists[i].buttons.find((b) => b.label === select.value)));
    });
    return labelled(name, select);
  };
  const slider = (member, spec) => {
    const input = Object.assign(document.createElement("input"), { type: "range", min: 0, max: spec.steps.length - 1, step: 1, value: 0 });
    const output = document.createElement("output");
    const show = () => {
      const step = spec.steps[input.value];
      output.textContent = step.label;
      input.setAttribute("aria-valuetext", step.label);
      return step;
    };
    input.addEventListener("input", () => apply(member.div, show()));
    show();
    const label = labelled(spec.name, input);
    label.append(output);
    return label;
  };
  const controls = (bar) => {
    const members = plots.filter((p) => p.group === bar.dataset.group);
    const names = [...new Set(members.flatMap((m) => m.menus.map((menu) => menu.name)))];
    bar.append(...names.map((name) => dropdown(members, name)).filter(Boolean));
    for (const member of members) bar.append(...member.sliders.map((spec) => slider(member, spec)));
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
    const { updatemenus = [], sliders = [], title: _, ...layout } = spec.layout; // the page has its own
    const models = spec.data.some((trace) => trace.legendgroup);
    spec.data.forEach((trace) => { if (trace.legendgroup) trace.visible = shown(trace); });
    Object.assign(layout, { template: content.templates[theme()], margin: { l: 48, r: 12, t: 12, b: 44 }, autosize: true });
    if (layout.xaxis.side === "top") layout.margin = { l: 48, r: 12, t: 36, b: 8 };
    if (models) layout.showlegend = false;
    if (layout.meta.scale) layout.coloraxis = { ...layout.coloraxis, colorscale: content.scales[theme()][layout.meta.scale] };
    await Plotly.newPlot(div, spec.data, layout, { responsive: true, displayModeBar: false });
    document.querySelector(`.save[data-plot="${index}"]`).addEventListener("click", () => save(div, heading));
    plots.push({ div, group: content.groups[index], menus: updatemenus, sliders });
  };
  const start = async () => {
    mark();
    for (const [index, spec] of content.figures.entries()) {
      try { await draw(spec, index); } catch (error) { fail(`figure ${index + 1}: ${error.message}`); }
      root.dataset.drawn = index + 1;
      await new Promise((done) => setTimeout(done)); // the page stays responsive while many figures are drawn
    }
    document.querySelectorAll(".controls").forEach(controls);
    root.dataset.ready = "true";
  };
  start();
})();
