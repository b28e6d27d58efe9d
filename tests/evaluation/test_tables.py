import json
import math
from pathlib import Path

import pytest

from autoseg.errors import WorkspaceError
from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.score_table import score_table
from autoseg.evaluation.tables import (
    COLUMNS,
    case_rows,
    read_cases,
    summarise,
    summary_document,
    write_cases,
    write_summary,
)
from autoseg.metrics.table import METRICS

NAN = math.nan


def scores(value, name, dice, distance_mm=NAN, volumes_ml=(1.0, 2.0), nsd=NAN):
    numbers = (dice, nsd, distance_mm, distance_mm, distance_mm, *volumes_ml, 1.5)
    return ClassMetrics(value, name, dict(zip(METRICS, numbers, strict=True)))


def shown(summary):
    """The rows of the table, without HD95 and ASSD."""
    table = score_table(summary, title="scores")
    return [dict(list(zip(table.columns, row, strict=True))[:4]) for row in table.rows]


CASES = (
    CaseMetrics("a", (scores(1, "CSF", 0.5, 3.0), scores(3, "WM, right", 1 / 3, 0.1))),
    CaseMetrics("b", (scores(1, "CSF", 0.7, 5.0), scores(3, "WM, right", NAN, NAN, (0.0, 0.0)))),
    CaseMetrics("c", (scores(1, "CSF", 0.0), scores(3, "WM, right", NAN, NAN, (0.0, 0.0)))),
)


def test_summary_by_hand():
    summary = summarise(CASES)
    csf, wm = summary.classes
    assert (summary.cases, csf.value, csf.name, wm.value, wm.name) == (3, 1, "CSF", 3, "WM, right")
    # .5 .7 0: mean .4, squared deviations .01 + .09 + .16 = .26, halved .13
    assert csf.metrics["dice"].mean == pytest.approx(0.4)
    assert csf.metrics["dice"].sd == pytest.approx(math.sqrt(0.13))
    assert csf.metrics["dice"].undefined == 0
    # 3 and 5, one undefined: mean 4, sd root 2
    assert csf.metrics["hausdorff_mm"].mean == pytest.approx(4.0)
    assert csf.metrics["hausdorff_mm"].sd == pytest.approx(math.sqrt(2))
    assert csf.metrics["hausdorff_mm"].undefined == 1
    # one value is no deviation
    assert wm.metrics["dice"].mean == pytest.approx(1 / 3)
    assert math.isnan(wm.metrics["dice"].sd)
    assert wm.metrics["dice"].undefined == 2
    assert summary.mean["dice"] == pytest.approx((0.4 + 1 / 3) / 2)
    assert summary.mean["hausdorff_mm"] == pytest.approx((4.0 + 0.1) / 2)


def test_a_class_without_any_value_is_left_out_of_the_mean_over_classes():
    summary = summarise([CaseMetrics("a", (scores(1, "one", 0.8), scores(2, "two", NAN, volumes_ml=(0.0, 0.0))))])
    assert math.isnan(summary.classes[1].metrics["dice"].mean)
    assert summary.mean["dice"] == 0.8
    assert math.isnan(summary.mean["assd_mm"])
    _, two, mean = shown(summary)
    assert two == {"class": "two", **dict.fromkeys(("Dice", "NSD", "HD (mm)"), "n/a (1 not in the reference)")}
    assert mean == {
        "class": "mean",
        "Dice": "0.800 (without two)",
        "NSD": "n/a (one not scored at this tolerance)",
        "HD (mm)": "n/a (one undefined)",
    }


def test_a_class_that_was_never_found_leaves_no_mean_distance_over_classes():
    classes = scores(1, "one", 0.8, 2.0, nsd=0.9), scores(2, "two", 0.0, volumes_ml=(0.0, 1.0), nsd=0.0)
    cases = [CaseMetrics("a", classes)]
    summary = summarise(cases)
    assert math.isnan(summary.mean["hausdorff_mm"])
    assert shown(summary)[-1] == {"class": "mean", "Dice": "0.400", "NSD": "0.450", "HD (mm)": "n/a (two not found)"}


def test_a_table_says_of_how_many_cases_a_number_is_undefined_and_why():
    first, second, _ = shown(summarise([*CASES[:2], CaseMetrics("c", (scores(1, "CSF", 0.0, volumes_ml=(0.0, 1.0)),))]))
    assert first == {
        "class": "CSF",
        "Dice": "0.400 +- 0.361",
        "NSD": "n/a (3 not scored at this tolerance)",
        "HD (mm)": "4.0 +- 1.4 (1 not found)",
    }
    assert second == {
        "class": "WM, right",
        "Dice": "0.333 (1 not in the reference)",
        "NSD": "n/a (1 not in the reference, 1 not scored at this tolerance)",
        "HD (mm)": "0.1 (1 not in the reference)",
    }


def test_no_cases_give_an_empty_summary():
    summary = summarise([])
    assert (summary.cases, summary.classes) == (0, ())
    assert all(math.isnan(value) for value in summary.mean.values())


def test_rows_are_long_and_say_none_where_undefined():
    rows = case_rows(CASES)
    assert [(row["case"], row["class"]) for row in rows][:3] == [("a", "CSF"), ("a", "WM, right"), ("b", "CSF")]
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["value"], rows[0]["dice"], rows[0]["reference_volume_ml"]) == (1, 0.5, 2.0)
    assert rows[4]["hausdorff_mm"] is None


def test_table_as_text(tmp_path):
    write_cases(tmp_path / "metrics.csv", CASES[2:])
    assert (tmp_path / "metrics.csv").read_text() == (
        "case,class,value,dice,nsd,hausdorff_mm,hausdorff95_mm,assd_mm,volume_ml,reference_volume_ml,nsd_tolerance_mm\n"
        "c,CSF,1,0.0,,,,,1.0,2.0,1.5\n"
        'c,"WM, right",3,,,,,,0.0,0.0,1.5\n'
    )


def test_what_is_written_is_read_back_exactly(tmp_path):
    write_cases(tmp_path / "metrics.csv", CASES)
    assert repr(read_cases(tmp_path / "metrics.csv")) == repr(CASES)  # as text, because NaN differs from itself


def test_summary_as_json_has_null_for_nan(tmp_path):
    write_summary(tmp_path / "summary.json", summarise(CASES))
    document = json.loads((tmp_path / "summary.json").read_text())
    assert document == summary_document(summarise(CASES))
    assert document["cases"] == 3
    assert document["classes"][1]["metrics"]["dice"] == {"mean": 1 / 3, "sd": None, "undefined": 2}
    assert set(document["mean"]) == set(METRICS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no columns"),
        ("case,dice\na,0.5\n", "columns"),
        (f"{','.join(COLUMNS)}\na,CSF,1,high,1,1,1,1,1,1,1\n", "line 2"),
        (f"{','.join(COLUMNS)}\na,CSF,1,0.5,1,1\n", "line 2"),
        ("case,class,value,dice\na,CSF,1,0.9\nb,CSF,1,0.5\na,CSF,1,0.1\n", "line 4: class 1 of a a second time"),
        (f"{','.join(COLUMNS)}\na,CSF,1,0.5,1,1,1,1,1,1,1,1\n", "line 2"),
    ],
)
def test_another_table_is_refused(tmp_path, text, complaint):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(WorkspaceError, match=complaint) as caught:
        read_cases(path)
    assert caught.value.where == str(path)


def test_metrics_that_a_table_does_not_have_are_undefined(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("case,class,value,dice\na,CSF,1,0.5\n")
    [case] = read_cases(path)
    assert case.classes[0].dice == 0.5
    assert math.isnan(case.classes[0].hausdorff_mm)
    assert summarise([case]).classes[0].metrics["hausdorff_mm"].undefined == 1


def test_columns_that_are_no_metrics_of_this_version_are_ignored(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(f"nsd_1mm,{','.join(reversed(COLUMNS))}\n0.9,1.5,2.0,1.0,0.1,0.2,3.0,0.8,0.5,1,CSF,a\n")
    assert read_cases(path) == (
        CaseMetrics(
            "a", (ClassMetrics(1, "CSF", dict(zip(METRICS, (0.5, 0.8, 3.0, 0.2, 0.1, 1.0, 2.0, 1.5), strict=True))),)
        ),
    )


def test_tables_of_0_1_are_read_back_exactly():
    stored = Path(__file__).parents[1] / "fixtures" / "v0_1" / "evaluation"
    cases = read_cases(stored / "metrics.csv")
    found, expected = summary_document(summarise(cases)), json.loads((stored / "summary.json").read_text())
    later = set(METRICS) - set(expected["mean"])
    assert later == {"nsd", "nsd_tolerance_mm"}
    for numbers in (found["mean"], *(label["metrics"] for label in found["classes"])):
        for metric in later:
            assert numbers.pop(metric) in (None, {"mean": None, "sd": None, "undefined": len(cases)})
    assert found == expected


def test_a_missing_table_is_an_error(tmp_path):
    with pytest.raises(WorkspaceError, match="no such file"):
        read_cases(tmp_path / "metrics.csv")
