import itertools

import pandas as pd
import pytest

from lacuna.reporting import areas, comparisons, confusion, curves, recall_by_class, styles, subsets, training
from lacuna.reporting.core.style import KNOWN, PALETTE, SPLIT
from lacuna.reporting.core.words import higher_is_better, metric_label
from lacuna.reporting.robustness.probabilities import risk_coverage


def every(report):
    s, classes = report.summary, report.facts.classes
    yield "curves", curves(s)
    yield "one panel", curves(s, only=("rmm", ""))
    yield "subsets", subsets(s)
    for panel in (("rmfm", ""), ("fixed", "")):
        yield f"areas {panel}", areas(report.areas, only=panel)
    yield "comparisons", comparisons(report.comparisons)
    yield "confusion", confusion(report.confusion, classes)
    yield "recall", recall_by_class(report.confusion, classes)
    yield "training", training(report.history, chosen={("mlp", 0): 21})


def steps(figure):
    menus = [b for m in figure.layout.updatemenus for b in m.buttons]
    return [*menus, *(s for slider in figure.layout.sliders for s in slider.steps)]


def test_every_choice_gives_every_trace_its_data(report):
    for name, figure in every(report):
        assert steps(figure), name
        for step in steps(figure):
            data, layout = step.args
            for key, values in data.items():
                assert len(values) == len(figure.data), (name, step.label, key)
            assert all(isinstance(key, str) for key in layout)


def test_the_first_choice_is_what_is_drawn(report):
    for name, figure in every(report):
        data = steps(figure)[0].args[0]
        for key, values in data.items():
            for trace, value in zip(figure.data, values, strict=True):
                drawn = trace[key] if key != "visible" else bool(trace.visible)
                same = drawn == value if not hasattr(drawn, "__len__") else repr(plain(drawn)) == repr(plain(value))
                assert same or value is None, (name, key)


def plain(value):
    return [plain(v) for v in value] if hasattr(value, "__len__") and not isinstance(value, str) else value


def test_a_model_looks_the_same_in_every_figure(report):
    looks = {}
    for _, figure in every(report):
        for trace in figure.data:
            model = trace.legendgroup
            if model in set(report.summary["model"]) and trace.type == "scatter":
                color = trace.line.color or trace.marker.color
                if color:
                    looks.setdefault(model, set()).add(color)
    assert set(looks) == set(report.summary["model"])
    assert all(len(colors) == 1 for colors in looks.values())
    assert len({next(iter(c)) for c in looks.values()}) == len(looks)


def test_thirty_models_have_different_styles():
    looks = styles(f"m{i}" for i in range(30))
    assert len({(s.color, s.dash, s.symbol) for s in looks.values()}) == 30
    eight = list(styles(f"m{i}" for i in range(8)).values())
    assert len({s.color for s in eight}) == len({s.symbol for s in eight}) == 8


def test_a_known_model_has_the_same_style_among_any_others():
    alone, among = styles(["gcnet"]), styles([*KNOWN, "a variant", "gcnet_small"], references=["prior"])
    assert alone["gcnet"] == among["gcnet"]
    assert styles(["a variant"])["a variant"].color in PALETTE


def test_menus_are_split_into_short_lists(report):
    figure = confusion(report.confusion, report.facts.classes)
    (menu,) = figure.layout.updatemenus
    assert menu.name.split(SPLIT) == ["Model", "Missing data", "Missing rate"]
    assert all(len(button.label.split(SPLIT)) == 3 for button in menu.buttons)


def test_palette_stands_out_on_both_pages():
    def light(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for color in PALETTE:
        for page in ("#ffffff", "#1b2027"):
            low, high = sorted((light(color), light(page)))
            assert (high + 0.05) / (low + 0.05) > 2.5, (color, page)


def test_the_baseline_is_in_every_figure_with_scores_of_models(report):
    for name, figure in every(report):
        if name.startswith(("curves", "one panel", "areas")):
            assert "majority-class baseline" in [t.name for t in figure.data], name
    assert "majority-class baseline" in figure_rows(subsets(report.summary))


def figure_rows(figure):
    return list(figure.data[0].y)


def test_all_panels_share_one_scale(report):
    spans = {tuple(curves(report.summary, only=(p, "")).layout.yaxis.range) for p in ("rmfm", "rmm")}
    assert len(spans) == 1


def test_a_class_that_does_not_occur_has_no_shares(report):
    table = report.confusion[report.confusion["true"] != "fear"]
    assert confusion(table, report.facts.classes).data[0].z[5] == [None] * 6


def test_confusion_adds_seeds_up(report):
    import pandas as pd

    two = pd.concat([report.confusion, report.confusion.assign(seed=1)])
    one, both = (confusion(t, report.facts.classes).data[0] for t in (report.confusion, two))
    assert both.customdata[0][0] == 2 * one.customdata[0][0]
    assert both.z[0] == one.z[0]


def test_comparisons_are_antisymmetric_and_blue_means_better(report):
    own = report.comparisons
    for metric, sign in (("weighted_f1", 1), ("log_loss", -1)):
        table = own[(own["metric"] == metric) & (own["pattern"] == "rmm")]
        trace = comparisons(table).data[0]
        z = trace.z
        for i, j in itertools.combinations(range(len(z)), 2):
            assert z[i][j] == pytest.approx(-z[j][i])
        first = table.iloc[0]
        i, j = (list(trace.y).index(first[c]) for c in ("model_a", "model_b"))
        assert z[i][j] == pytest.approx(sign * first["difference"], abs=1e-4)


def test_lines_and_bands_are_the_numbers_of_the_table_up_to_the_reached_rate(report):
    summary = report.summary
    for step in steps(curves(summary, only=("rmm", ""))):
        label, view = step.label.split(SPLIT)
        metric = next(m for m in report.metrics if metric_label(m) == label)
        rows = summary[(summary["pattern"] == "rmm") & (summary["metric"] == metric) & (summary["rate"] <= 0.7)]
        if view != "score":
            sign = 1 if higher_is_better(metric) else -1
            gain = sign * (rows["mean"] - rows["constant"])
            rows = rows.assign(mean=gain, low=rows["gain_low"], high=rows["gain_high"], constant=0.0)
        x, y = step.args[0]["x"], step.args[0]["y"]
        models = sorted(rows["model"].unique())
        for i, model in enumerate(models):  # all bands, all lines, the baseline
            own = rows[rows["model"] == model].sort_values("rate")
            assert list(y[i]) == pytest.approx([*own["high"], *own["low"][::-1]], abs=1e-4)
            assert list(x[len(models) + i]) == pytest.approx(list(own["measured_rate"]), abs=1e-4)
            assert list(y[len(models) + i]) == pytest.approx(list(own["mean"]), abs=1e-4)
        assert list(y[-1]) == pytest.approx([rows["constant"].iloc[0]] * len(y[-1]), abs=1e-4)


def test_dots_and_whiskers_are_the_numbers_of_the_table(report):
    figure = areas(report.areas, only=("rmm", ""))
    rows = report.areas.query("pattern == 'rmm' and metric == 'weighted_f1' and measure == 'auilc'").set_index("model")
    dots = [t for t in figure.data if t.meta["role"] == "dot"]
    assert len(dots) == len(rows)
    for dot in dots:
        row = rows.loc[dot.legendgroup]
        assert dot.x[0] == pytest.approx(row["mean"], abs=1e-4)
        assert dot.x[0] + dot.error_x.array[0] == pytest.approx(row["high"], abs=2e-4)
        assert dot.x[0] - dot.error_x.arrayminus[0] == pytest.approx(row["low"], abs=2e-4)


def test_cells_are_the_numbers_of_the_table(report):
    trace = subsets(report.summary).data[0]
    row, column = list(trace.y).index("knn"), list(trace.x).index("text +<br>audio")
    own = report.summary.query("model == 'knn' and setting == 'text+audio' and metric == 'weighted_f1'")
    assert trace.z[row][column] == pytest.approx(own["mean"].item(), abs=1e-4)


def test_ticks_of_small_error_rates_are_different_numbers():
    rows = [{"model": "mlp", "pattern": "rmm", "setting": "", "rate": 0.0, "coverage": c, "risk": 0.03 * c} for c in (0.5, 1.0)]
    assert "error rate" in risk_coverage(pd.DataFrame(rows)).data[0].hovertemplate
    assert risk_coverage(pd.DataFrame(rows)).layout.yaxis.tickformat == ".1~%"  # .0% shows 2.5 % and 3 % as 3 %
