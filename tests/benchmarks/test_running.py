"""Repeats are interleaved, results kept as they come, and an interrupted run goes on."""

from __future__ import annotations

import pytest

from benchmarks.journal import Journal
from benchmarks.processes import TaskFailed

ANSWER = [1.0, 2.0]
BOTH = {100: ANSWER, 200: ANSWER}


def test_repeats_are_interleaved(benchmark_of, run, play):
    processes = play(BOTH)
    run(benchmark_of(), processes)
    assert processes.launched == [100, 200, 100, 200]


def test_medians_spread_and_floor_are_in_the_record(benchmark_of, run, play):
    rows = run(benchmark_of(), play(BOTH))["rows"]
    assert rows[1]["metrics"]["seconds"] == {
        "median": 2.0,
        "low": 2.0,
        "high": 2.0,
        "values": [2.0, 2.0],
    }
    assert rows[1]["floor"] == {"label": "100 px", "value": 1.0, "ratio": 2.0}


def test_a_run_that_was_interrupted_measures_only_what_is_missing(benchmark_of, run, play):
    class Interrupted(type(play(BOTH))):
        def __call__(self, *arguments, **more):
            if len(self.launched) == 3:
                raise KeyboardInterrupt
            return super().__call__(*arguments, **more)

    with pytest.raises(KeyboardInterrupt):
        run(benchmark_of(), Interrupted(BOTH))
    rest = play(BOTH)
    record = run(benchmark_of(), rest)
    assert rest.launched == [200]
    assert len(record["answers"]["compared"]) == 1


def test_results_of_other_code_are_measured_again(benchmark_of, run, play):
    run(benchmark_of(), play(BOTH))
    again = play(BOTH)
    run(benchmark_of(), again, tree="tree-2")
    assert again.launched == [100, 200, 100, 200]


def test_a_lost_reference_answer_is_made_again(benchmark_of, run, play, tmp_path):
    run(benchmark_of(), play(BOTH))
    for kept in (tmp_path / "journal").glob("*.npz"):
        kept.unlink()
    again = play(BOTH)
    assert len(run(benchmark_of(), again)["answers"]["compared"]) == 1
    assert again.launched == [100, 200]


def test_a_failed_task_is_told_and_the_others_go_on(benchmark_of, run, play):
    class Failing(type(play(BOTH))):
        def __call__(self, task, arguments, **more):
            if arguments["chunk"] == 100:
                raise TaskFailed("it broke")
            return super().__call__(task, arguments, **more)

    record = run(benchmark_of(), Failing(BOTH))
    assert [row["failed"] for row in record["rows"]] == ["it broke", None]
    assert record["rows"][1]["metrics"]["tasks"]["median"] == 200


def test_a_forgotten_journal_leaves_nothing(tmp_path, benchmark_of, run, play):
    run(benchmark_of(), play(BOTH))
    Journal.open(tmp_path / "journal" / "played.jsonl", "tree-1").forget()
    assert list((tmp_path / "journal").iterdir()) == []
