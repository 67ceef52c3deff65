"""The papers' tables in a small setting: every row, the papers' figures beside, nothing twice."""

import csv
import re
import time
from dataclasses import replace

import pytest

from sarmap.cli import main
from sarmap.errors import SarmapError
from sarmap.learn import trainings
from sarmap.papers import reproduce as module
from sarmap.papers.effort import SMALL1, SMALL2


@pytest.fixture
def small(monkeypatch):
    """As small as it goes: the rows are what is tested."""
    one = {**SMALL1.training, "epochs": 1, "arguments": {"filters": [2], "size": 8, "dense": 4}}
    samples = {**SMALL1.samples, "per_polygon": 4, "stride": 4}
    two = {**SMALL2.training, "depth": 1}
    grid = {"filters": (1,), "batch": (8,)}
    monkeypatch.setattr(module, "SMALL1", replace(SMALL1, training=one, samples=samples))
    monkeypatch.setattr(module, "SMALL2", replace(SMALL2, training=two, grid=grid))


def run(*words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.nightly
def test_paper_1_has_all_nine_rows_with_the_papers_figures(small, event, tmp_path, monkeypatch):
    words = ["reproduce", "paper1", "--small", "--events", event.path, "--out", tmp_path]
    assert run(*words) == 0
    rows = rows_of(tmp_path / "paper1.csv")
    assert [row["composite"] for row in rows] == list(module.PAPER1)
    assert [row["accuracy_paper"] for row in rows][:2] == ["99.20", "86.63"]
    assert all(0 <= float(row["accuracy_ours"]) <= 100 for row in rows)
    text = (tmp_path / "paper1.md").read_text()
    assert "SIMULATED event" in text
    assert "its scores mean nothing" in text
    assert (tmp_path / "paper1.png").read_bytes()[:4] == b"\x89PNG"
    monkeypatch.setattr("sarmap.learn.trainings.settle", None)
    assert run(*words) == 0
    assert rows_of(tmp_path / "paper1.csv") == rows


def test_both_orbits_of_a_composite_are_averaged(small, event, tmp_path, monkeypatch):
    plan = module._paper2_plan
    pair = ("D_BAA_S", "A_BAA_S", "both BAA_S")
    monkeypatch.setattr(
        module,
        "_paper2_plan",
        lambda job: {(n, a, s): r for (n, a, s), r in plan(job).items() if n in pair and not a},
    )
    words = ["reproduce", "paper2", "--small", "--events", event.path, "--out", tmp_path]
    assert run(*words, "--filters", 1, "--batch", 8) == 0
    rows = {row["composite"]: row for row in rows_of(tmp_path / "paper2.csv")}
    assert list(rows) == ["D_BAA_S", "A_BAA_S", "A_BAA_S and D_BAA_S averaged"]
    assert all(row["f1_ours"] for row in rows.values())


@pytest.mark.nightly
def test_paper_2_has_four_composites_both_ways_and_both_orbits_averaged(
    small, event, tmp_path, monkeypatch
):
    words = ["reproduce", "paper2", "--small", "--events", event.path, "--out", tmp_path]
    assert run(*words) == 0
    rows = rows_of(tmp_path / "paper2.csv")
    assert [row["augmentation"] for row in rows] == ["no"] * 6 + ["yes"] * 6
    assert [row["composite"] for row in rows[:6]] == [
        "D_BA_S",
        "A_BA_S",
        "D_BAA_S",
        "A_BAA_S",
        "A_BA_S and D_BA_S averaged",
        "A_BAA_S and D_BAA_S averaged",
    ]
    best = rows[9]
    assert (best["composite"], best["f1_paper"], best["precision_paper"]) == (
        "A_BAA_S",
        "61.15",
        "not available",
    )
    assert rows[4]["f1_paper"] == "not available"
    assert all(int(row["samples"]) > 0 for row in rows)
    assert (
        "sarmap reproduce paper2 --setting small --seed 21 --split random"
        in (tmp_path / "paper2.md").read_text()
    )
    assert "best of the grid" in (tmp_path / "paper2.md").read_text()
    now, spent = time.time, []

    def long_search(job):
        spent.append(3600)
        return {"filters": 1, "batch": 8}

    monkeypatch.setattr(module, "search_grid", long_search)
    monkeypatch.setattr(time, "time", lambda: now() + sum(spent))
    assert run(*words) == 0
    made = re.search(r"in (\d+)\.\d minutes", (tmp_path / "paper2.md").read_text())
    assert int(made[1]) >= 60


def test_a_killed_run_leaves_the_rows_it_has_and_says_which_are_missing(
    small, event, tmp_path, monkeypatch
):
    words = ["reproduce", "paper1", "--small", "--events", event.path, "--out", tmp_path]
    settle, done = trainings.settle, []

    def killed(config, *given, **rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(config.name)
        return settle(config, *given, **rest)

    monkeypatch.setattr(trainings, "settle", killed)
    assert run(*words) != 0
    rows = rows_of(tmp_path / "paper1.csv")
    assert [row["composite"] for row in rows] == list(module.PAPER1)
    assert [bool(row["accuracy_ours"]) for row in rows] == [True, True] + [False] * 7
    assert {row["note"] for row in rows[2:]} == {"not trained yet: run the command again"}


def test_a_row_that_diverges_is_said_and_the_others_are_trained(
    small, event, tmp_path, monkeypatch, capsys
):
    words = ["reproduce", "paper1", "--small", "--events", event.path, "--out", tmp_path]
    few = {name: module.PAPER1[name] for name in ("RGB", "HHH", "BAA")}
    monkeypatch.setattr(module, "PAPER1", few)
    settle = trainings.settle

    def wild(config, *given, **rest):
        if config.name == "HHH-random":
            raise SarmapError("Training diverged in epoch 1.")
        return settle(config, *given, **rest)

    monkeypatch.setattr(trainings, "settle", wild)
    assert run(*words) == 1
    said = capsys.readouterr().err
    assert "RGB-random, epoch 1: loss" in said
    assert "1 of the rows could not be trained" in said.splitlines()[-1]
    assert "HHH-random: Training diverged" in said.splitlines()[-1]
    rows = {row["composite"]: row for row in rows_of(tmp_path / "paper1.csv")}
    assert rows["HHH"]["note"] == "Training diverged in epoch 1."
    assert [name for name, row in rows.items() if not row["accuracy_ours"]] == ["HHH"]
    monkeypatch.setattr(trainings, "settle", settle)
    assert run(*words) == 0
    assert all(row["accuracy_ours"] for row in rows_of(tmp_path / "paper1.csv"))


@pytest.mark.nightly
def test_rows_train_side_by_side_on_the_workers_of_a_cluster(small, event, tmp_path, monkeypatch):
    plan = module._paper2_plan
    monkeypatch.setattr(
        module, "_paper2_plan", lambda job: {k: v for k, v in plan(job).items() if "BAA" in k[0]}
    )
    words = ["reproduce", "paper2", "--small", "--events", event.path, "--filters", 1]
    words += ["--batch", 8, "--split", "random", "--split", "blocks"]
    assert run(*words, "--out", tmp_path / "here") == 0
    assert run(*words, "--out", tmp_path / "workers", "--cluster", "local:2") == 0
    tables = [rows_of(tmp_path / where / "paper2.csv") for where in ("here", "workers")]
    for here, there in zip(*tables, strict=True):
        for name in ("composite", "augmentation", "split", "samples"):
            assert here[name] == there[name]
        assert there["f1_ours"]
    names = sorted(path.name for path in (tmp_path / "here" / "rows").iterdir())
    assert len(names) == 8
    for name in names:
        losses = [
            float(rows_of(tmp_path / where / "rows" / name / "curves.csv")[-1]["val_loss"])
            for where in ("here", "workers")
        ]
        # other threads sum in another order
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_options_that_do_not_go_together_are_refused(tmp_path, capsys):
    assert run("reproduce", "paper2", "--filters", 2, "--out", tmp_path) == 2
    assert "--batch" in capsys.readouterr().err
    assert run("reproduce", "paper1", "--small", "--setting", "full", "--out", tmp_path) == 2
    assert "exclude one another" in capsys.readouterr().err
    assert run("reproduce", "paper1", "--inventory", "x.zip", "--out", tmp_path) == 2
    assert "paper2" in capsys.readouterr().err
