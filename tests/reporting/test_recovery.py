import csv
import io
import math
from dataclasses import replace

import pandas as pd
import pytest

from lacuna.reporting import Report, render_html, results_page, to_csv, write_report
from lacuna.reporting.recovery.figures import clouds, shares
from lacuna.reporting.recovery.tables import recovery_tables


@pytest.fixture(scope="module")
def tables(report):
    return {t.name: t for t in recovery_tables(report)}


def test_there_is_a_table_for_each_measure_pattern_and_unit_but_fixed(tables):
    kinds = ("share", "mse", "cosine", "mmd", "moments", "variance", "crps", "coverage")
    places = ("rmfm-50-utterance", "rmfm-50-frame", "rmm-50-utterance", "stmfm-50-utterance")
    assert set(tables) == {f"recovery-{kind}-{place}" for kind in kinds for place in places}


def test_models_come_first_then_the_oracle_then_the_mean_fill(tables):
    names = [row[0] for row in tables["recovery-mse-rmm-50-utterance"].rows]
    assert names == ["knn", "knn (one draw)", "ridge", "oracle (reference)", "mean fill"]
    assert [row[0] for row in tables["recovery-coverage-rmm-50-utterance"].rows] == ["knn"]
    assert tables["recovery-coverage-rmm-50-utterance"].columns[1:3] == ("audio: 0.5", "audio: 0.9")


def test_the_best_mean_is_bold_where_a_direction_exists_and_references_never(tables):
    for name, table in tables.items():
        for i, head in enumerate(table.columns[1:], 1):
            values = {row[0]: row[i] for row in table.rows}
            if head.endswith(": p"):
                assert all(isinstance(v, str) for v in values.values())
                continue
            marks = [model for model, v in values.items() if v.mark == "best"]
            if "variance" in name or "coverage" in name or head.endswith("by chance"):
                assert not marks, (name, head)
                continue
            pick = max if "share" in name or "cosine" in name else min
            ranked = {model: v.mean for model, v in values.items() if model != "oracle (reference)"}
            assert marks == [pick(ranked, key=ranked.get)], (name, head)


def test_the_numbers_of_a_table_are_those_of_the_recovery(report, tables):
    own = report.recovery.query("pattern == 'rmm' and measure == 'mse' and modality == 'audio'").set_index("model")
    rows = list(csv.DictReader(io.StringIO(to_csv(tables["recovery-mse-rmm-50-utterance"]))))
    for row in rows:
        model = row["Model"].removesuffix(" (reference)")
        if not model.endswith("(one draw)"):
            assert [float(row[c]) for c in ("audio", "audio low", "audio high")] == pytest.approx(
                own.loc[model, ["mean", "low", "high"]].tolist()
            )


def test_a_note_says_what_the_interval_is(make, tables):
    assert (
        "Mean over 5 training seeds. In brackets: the mean 95% interval of a seed" in tables["recovery-mse-rmm-50-utterance"].note
    )
    once = recovery_tables(make(seeds=(1,)))
    assert all("In brackets: 95% intervals over test dialogues." in t.note for t in once)
    assert not any("training seeds. In" in t.note for t in once)


def test_without_an_oracle_the_gain_over_the_mean_fill_is_shown(make):
    report = make(oracle=False, patterns=("rmm",))
    names = {t.name for t in recovery_tables(report)}
    assert "recovery-gain-rmm-50-utterance" in names
    assert not any("share" in name for name in names)
    assert shares(report.recovery, "audio").layout.xaxis.title.text == "Reduction of the mean fill's error"
    assert "1 a recovery without error" in render_html(report)


def test_dots_and_whiskers_are_the_numbers_of_every_choice(report):
    figure = shares(report.recovery, "vision")
    own = report.recovery.query("measure == 'share_of_oracle' and modality == 'vision'")
    (menu,) = figure.layout.updatemenus
    assert len(menu.buttons) == 4
    assert {t.legendgroup for t in figure.data} == {"ridge", "knn"}
    update = next(b for b in menu.buttons if "rmm" in b.label).args[0]
    for i, trace in enumerate(figure.data):
        row = own[(own["model"] == trace.legendgroup) & (own["pattern"] == "rmm")].iloc[0]
        assert update["x"][i] == [row["mean"]]
        assert update["x"][i][0] + update["error_x.array"][i][0] == pytest.approx(row["high"])


def test_a_panel_a_model_with_the_same_true_vectors_in_each(report):
    figure = clouds(report.points, models=["ridge", "knn", "oracle"])
    assert len(figure.data) == 6
    true, found = figure.data[0::2], figure.data[1::2]
    assert all(t.x == true[0].x and t.y == true[0].y for t in true)
    assert true[0].x[:3] == pytest.approx([2 * x for x in found[0].x[:3]], abs=0.021)
    assert [t.legendgroup for t in found] == ["ridge", "knn", "oracle"]
    assert len({t.xaxis for t in true}) == 3
    assert [b.label for b in figure.layout.updatemenus[0].buttons] == ["audio", "vision"]


def test_at_most_six_models_are_drawn(report):
    many = [report.points.assign(model=f"m{i}") for i in range(9)]
    assert len(clouds(pd.concat(many)).data) == 12


def test_without_recovery_there_is_no_section(report, tmp_path):
    bare: Report = replace(report, recovery=report.recovery.iloc[:0], points=report.points.iloc[:0])
    assert bare.recovery is None
    assert recovery_tables(bare) == []
    assert '<section id="recovery"' not in render_html(bare)
    assert "Recovery quality" not in results_page(bare)
    write_report(tmp_path, bare)
    assert not list((tmp_path / "tables").glob("recovery*"))


def test_page_and_results_hold_the_recovery(page, report, tables):
    assert '<section id="recovery"' in page
    assert all(t.caption in page for t in tables.values() if "'" not in t.caption)
    assert results_page(report).count("## Recovery quality") == 1


def test_an_undefined_share_is_reported_and_not_drawn(report):
    unknown = (report.recovery["measure"] == "share_of_oracle") & (report.recovery["modality"] == "audio")
    lacking = report.recovery.assign(**{c: report.recovery[c].mask(unknown) for c in ("mean", "low", "high")})
    table = next(t for t in recovery_tables(replace(report, recovery=lacking)) if t.name.startswith("recovery-share"))
    assert all(math.isnan(row[1].mean) for row in table.rows)
    page = render_html(replace(report, recovery=lacking))
    assert "No share of the oracle&#39;s recovery for audio" in page
    assert 'class="save" data-plot' in page
    assert "Download Audio as SVG" not in page
