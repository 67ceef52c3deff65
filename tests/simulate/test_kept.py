"""The event that examples share is made once, and served until the process ends."""

import shutil
import subprocess
import sys

import sarmap
from sarmap.simulate import kept
from sarmap.simulate.kept import demo_event, event_folder


def test_an_event_is_made_once_and_then_opened(tmp_path):
    made = demo_event(rows=96, columns=80, seed=3, cache=tmp_path)
    written = made.items.stat().st_mtime_ns
    again = demo_event(rows=96, columns=80, seed=3, cache=tmp_path)
    assert again == made
    assert again.items.stat().st_mtime_ns == written
    assert made.path == event_folder(3, 96, 80, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [made.path.name]


def test_one_with_a_flipped_bit_is_made_again(tmp_path, caplog, monkeypatch, event):
    monkeypatch.setattr(kept, "simulate_event", lambda own, **_: shutil.copytree(event.path, own))
    made = demo_event(rows=96, columns=80, seed=3, cache=tmp_path)
    scene = next(made.path.rglob("*vv*.tiff"))
    whole = scene.read_bytes()
    scene.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    assert demo_event(rows=96, columns=80, seed=3, cache=tmp_path) == made
    assert scene.read_bytes() == whole
    assert caplog.text.count("is damaged and is made again") == 1


def test_one_that_was_made_meanwhile_is_kept(tmp_path, monkeypatch, event):
    first, nested = [], []

    def simulated(own, **_):
        shutil.copytree(event.path, own)
        if not nested:
            nested.append(own)
            first.append(demo_event(rows=96, columns=80, seed=3, cache=tmp_path))

    monkeypatch.setattr(kept, "simulate_event", simulated)
    second = demo_event(rows=96, columns=80, seed=3, cache=tmp_path)
    assert first == [second]
    assert [path.name for path in tmp_path.iterdir()] == [second.path.name]


def test_it_is_served_without_a_with_block_until_the_process_ends(event):
    script = (
        "import sarmap, sys\n"
        "catalog = sarmap.serve_demo(sys.argv[1])\n"
        "found = sarmap.search_passes("
        "sarmap.simulate.record.open_event(sys.argv[1]).grid, '2018-09-05T18:08:00Z',"
        " catalog=catalog, orbit='ascending')\n"
        "print(found.simulated, catalog.url)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, event.path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said, url = done.stdout.split()
    assert said == "True"
    assert url.startswith("http://127.0.0.1:")


def test_both_are_public():
    assert sarmap.demo_event is demo_event
    assert "serve_demo" in sarmap.__all__
