"""The page in a real browser: every figure is drawn, nothing is loaded, and no text of a corpus runs as code."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from lacuna.reporting import render_html

pytestmark = pytest.mark.browser

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium; on Debian: apt-get install chromium")

# Runs after the page's own script and leaves what it saw in the document.
PROBE = """
<script>(async () => {
  const root = document.documentElement, wait = (ms) => new Promise((done) => setTimeout(done, ms));
  for (let i = 0; i < 400 && root.dataset.ready !== "true"; i++) await wait(50);
  const seen = {
    drawn: document.querySelectorAll(".js-plotly-plot:has(svg.main-svg :is(.trace, .heatmaplayer image))").length,
    canvases: document.querySelectorAll(".canvas").length,
    failures: root.dataset.failures || 0,
    requests: performance.getEntriesByType("resource").map((e) => e.name),
    hacked: window.hacked || 0,
    wide: document.scrollingElement.scrollWidth - innerWidth,
    background: getComputedStyle(document.body).backgroundColor,
    ink: document.querySelector(".canvas") && document.querySelector(".canvas")._fullLayout.font.color,
    ticks: [...document.querySelectorAll(".confusion .xtick text")].map((t) => t.textContent),
    chips: [...document.querySelectorAll(".chip span")].map((t) => t.textContent),
    steps: {},
  };
  const plots = (group) => [...document.querySelectorAll(`figure.${group} .canvas`)];
  const settle = () => wait(50);
  ACTIONS
  const out = document.createElement("script");
  out.type = "application/json"; out.id = "seen";
  out.textContent = JSON.stringify(seen).replaceAll("<", "\\\\u003c");
  document.body.append(out);
})();</script>
"""
CLICKS = """
  const choose = async (group, name, value) => {
    const boxes = [...document.querySelectorAll(`.controls[data-group="${group}"] label`)];
    const box = boxes.find((l) => l.textContent.startsWith(name));
    const element = box.querySelector("select, input");
    element.value = value; element.dispatchEvent(new Event("input")); await settle();
  };
  const models = (group) => plots(group).flatMap((d) => d.data.filter((t) => t.legendgroup === "mlp"));
  const ends = () => plots("curves").map((d) => d._fullLayout.annotations.map((a) => a.text));
  seen.steps.ends = ends();
  await choose("curves", "Metric", "Log loss (nats)");
  seen.steps.metric = plots("curves").map((d) => d._fullLayout.yaxis.title.text);
  seen.steps.values = plots("curves").map((d) => d.data.at(-2).y[0]);
  await choose("curves", "View", "gain over the baseline");
  seen.steps.gain = plots("curves").map((d) => [d._fullLayout.yaxis.title.text, d.data.at(-1).y[0]]);
  seen.steps.menus = [...document.querySelectorAll("select")].map((s) => s.options.length);
  const matrix = plots("confusion")[0], before = matrix.data[0].z[0][0];
  await choose("confusion", "Missing rate", 10);
  seen.steps.slider = [before, matrix.data[0].z[0][0], document.querySelector("output").textContent];
  await choose("confusion", "Model", "knn");
  seen.steps.other = matrix.data[0].z[0][0];
  const chip = [...document.querySelectorAll(".chip")].find((c) => c.dataset.model === "mlp");
  chip.click(); await settle();
  const looks = models("curves").map((t) => (t.fill ? t.visible : t.line.color));
  seen.steps.grey = [chip.getAttribute("aria-pressed"), looks, ends(), document.getElementById("shown").textContent];
  chip.click(); await settle();
  seen.steps.colour = models("areas").map((t) => t.marker.color);
  document.getElementById("theme").click(); document.getElementById("theme").click(); await settle();
  seen.steps.theme = [document.documentElement.dataset.theme, document.querySelector(".canvas")._fullLayout.font.color];
"""


def browse(html, folder, *, actions="", dark=False, width=1280):
    """What the probe saw, and the lines of the browser's console."""
    page = folder / "page.html"
    page.write_text(html.replace("</body>", PROBE.replace("ACTIONS", actions) + "</body>"), "utf-8")
    flags = "headless no-sandbox disable-gpu disable-background-networking disable-component-update disable-sync no-first-run"
    command = [CHROMIUM, *(f"--{flag}" for flag in flags.split()), f"--user-data-dir={folder / 'profile'}"]
    command += ["--virtual-time-budget=60000", f"--window-size={width},900", "--enable-logging=stderr", "--v=0", "--dump-dom"]
    command += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<script type="application/json" id="seen">(.*?)</script>', done.stdout, re.DOTALL)
    assert found, f"the page did not finish: {done.stderr[-2000:]}"
    return json.loads(found[1]), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def check(seen, console):
    assert console == []
    assert seen["failures"] == 0
    assert seen["requests"] == []
    assert seen["hacked"] == 0
    assert seen["drawn"] == seen["canvases"] > 0
    assert seen["wide"] <= 0  # no sideways scrolling of the page


@browser
def test_everything_is_drawn_and_every_control_works(page, tmp_path):
    seen, console = browse(page, tmp_path, actions=CLICKS)
    check(seen, console)
    steps = seen["steps"]
    assert all({"mlp", "knn", "baseline"} <= set(names) for names in steps["ends"])
    assert steps["metric"] == ["Log loss (nats)"] * 3
    assert all(value > 0 for value in steps["values"])
    assert steps["gain"] == [["Gain in Log loss (nats)", 0]] * 3
    assert max(steps["menus"]) <= 12
    assert steps["slider"][0] > steps["slider"][1] != steps["other"]
    assert steps["slider"][2] == "100\u202f%"
    pressed, colours, ends, shown = steps["grey"]
    assert pressed == "false"
    assert set(colours) == {"#868c94", False}  # grey lines, no bands
    assert all("mlp" not in names for names in ends)
    assert shown == "4 of 5 in colour"
    assert "#868c94" not in steps["colour"]
    assert steps["theme"] == ["dark", "#e6e9ec"]


@browser
def test_dark_and_narrow(page, tmp_path):
    seen, console = browse(page, tmp_path, dark=True, width=390)
    check(seen, console)
    assert seen["background"] == "rgb(20, 24, 29)"
    assert seen["ink"] == "#e6e9ec"


@browser
def test_names_are_shown_and_never_run(make, tmp_path):
    attack = "</script><script>window.hacked=1</script>"
    image = '"><img src=x onerror="window.hacked=2">'
    classes = (attack, image, "<b>joie & 喜び</b>", "{{ 7 * 7 }}", "${window.hacked=3}")
    models = ("mlp", f"m{attack}", f"n{image}", "Ünïcode 模型")
    report = make(
        models=models, classes=classes, corpus="duet" + attack, patterns=("rmm", f"p{attack}"), metrics=("weighted_f1", "ece")
    )
    facts = replace(report.facts, command=f"kedro run {attack}", notes=(attack, image), licence=image, git=attack)
    seen, console = browse(render_html(replace(report, facts=facts)), tmp_path)
    check(seen, console)
    assert set(seen["ticks"]) >= set(classes)
    assert set(seen["chips"]) == {*models, "majority-class baseline"}


@browser
@pytest.mark.parametrize("case", ["regression", "many"])
def test_other_shapes(case, make, tmp_path):
    if case == "regression":
        report = make(classes=(), metrics=("ccc", "mae"), models=("mlp",), patterns=("rmm",), seeds=(0,), intervals=False)
    else:
        report = make(
            models=[f"model_{i:02d}" for i in range(30)], metrics=("weighted_f1",), patterns=("rmm",), rates=(0.0, 0.5, 1.0)
        )
    seen, console = browse(render_html(report), tmp_path)
    check(seen, console)


class Links(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self):
        super().__init__()
        self.loads, self.labelled, self.tags = [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.loads += [
            v for k, v in attributes if k in ("src", "srcset", "href", "action", "data", "poster") and not v.startswith("#")
        ]
        self.loads += [k for k in given if k.startswith("on")]
        if given.get("role") == "img":
            self.labelled.append(bool(given.get("aria-label")))


def test_the_page_refers_to_nothing_outside(page):
    links = Links()
    links.feed(page)
    assert links.loads == []
    assert "link" not in links.tags
    assert "iframe" not in links.tags
    assert links.labelled
    assert all(links.labelled)
    assert "default-src 'none'" in page
    css = page.split("<style>")[1].split("</style>")[0]
    assert "url(" not in css
    assert "@import" not in css
    assert len(page.encode()) < 2e6


def test_the_page_is_the_same_for_the_same_input(make):
    small = {"patterns": ("rmm",), "rates": (0.0, 0.5), "metrics": ("weighted_f1",)}
    assert render_html(make(**small)) == render_html(make(**small))


def test_tables_on_the_page_have_captions_and_heads(page):
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert len(tables) > 8
    for table in tables:
        assert "<caption>" in table
        assert 'scope="col"' in table
        assert 'scope="row"' in table


def test_every_warning_is_on_the_page(make):
    page = render_html(make(seeds=(1,), metrics=("weighted_f1",)))
    for part in ("One seed", "AI Act", "Labels are what annotators perceived", "simulated", "uncommitted changes"):
        assert part in page, part


def test_optional_tables_add_their_sections(report):
    key = {"model": "mlp", "pattern": "rmm", "setting": "", "rate": 0.0}
    bins = pd.DataFrame([key | {"confidence": c, "accuracy": c - 0.1, "count": 20} for c in (0.3, 0.5, 0.9)])
    risks = pd.DataFrame([key | {"coverage": c, "risk": c / 3} for c in (0.1, 0.5, 1.0)])
    answer = {"id": "d1_3", "text": "Well, <b>no</b>.", "missing": "audio", "truth": "joy", "model": "mlp", "answer": "joy"}
    examples = pd.DataFrame([answer | {"confidence": 0.71}])
    bare = render_html(report)
    page = render_html(replace(report, calibration=bins, risk_coverage=risks, examples=examples))
    for section in ("calibration", "examples"):
        assert f'<section id="{section}"' not in bare
        assert f'<section id="{section}"' in page
    assert "Reliability diagram" in page
    assert "Risk-coverage curve" in page
    assert "Well, &lt;b&gt;no&lt;/b&gt;." in page
    assert "✓ mlp: joy (71 %)" in page


def test_the_page_opens_with_one_sentence_and_three_tiles(page):
    top = page.split('<section id="headline"')[1]
    assert (
        top.index('class="lead"') < top.index('class="tile"') < top.index('data-group="curves"') < top.index("Findings in words")
    )
    assert top.split("</section>")[0].count('class="tile"') == 3
