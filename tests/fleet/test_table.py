"""The table of a fleet, its JSON, and its conflicts."""

from respid.fleet.sample import Sample
from respid.fleet.table import Row, describe, find_conflicts, render
from respid.ids.layout import Layout


def sample(worker_id: int = 1, *, run_id: str = "", reason: str = "", layout: Layout | None = None) -> Sample:
    return Sample(
        seconds=0,
        run_id=run_id or f"run {worker_id}",
        version="1.2",
        uptime_seconds=60,
        worker_id=worker_id,
        layout=layout or Layout(),
        reason=reason,
        ids_issued=0,
        connections=1200,
        clock_lead_seconds=0.25,
        reservation_seconds=9.96,
    )


def test_ready_workers_need_no_reasons() -> None:
    rows = [Row("a:1", sample(1), 409_600), Row("b:22", sample(12), None)]
    assert list(render(rows)) == [
        "ADDRESS  WORKER ID  READY    IDS/S  OF LIMIT  CONNECTIONS     LEAD  RESERVATION  LAYOUT"
        + " " * 18
        + "VERSION",
        "a:1              1  yes    409,600     10.0%        1,200  0.250 s       10.0 s  41/10/12@1704067200000  1.2",
        "b:22            12  yes          -         -        1,200  0.250 s       10.0 s  41/10/12@1704067200000  1.2",
        "2 of 2 ready, 409,600 IDs/s in total",
    ]


def test_worker_with_two_addresses_counts_once_in_the_total() -> None:
    rows = [Row("a:1", sample(1), 400), Row("b:1", sample(1), 400), Row("c:1", sample(2), 30)]
    assert list(render(rows))[-1] == "3 of 3 ready, 430 IDs/s in total"


def test_shows_why_not_ready() -> None:
    rows = [
        Row("a:1", sample(reason="set the\x1b[2J clock")),
        Row("b:1", error="timed out"),
        Row("c:1", error="NOAUTH x"),
    ]
    heading, slow, silent, locked, total = render(rows)
    assert heading.endswith("REASON")
    assert slow.split()[:3] == ["a:1", "1", "no"]
    assert slow.endswith("  set the [2J clock")
    assert silent.split() == ["b:1", "-", "no", *"-------", "timed", "out"]
    assert locked.endswith("  NOAUTH x (set RESPID_PASSWORD or RESPID_PASSWORD_FILE)")
    assert total == "0 of 3 ready, 0 IDs/s in total"


def test_json_has_null_for_the_unknown() -> None:
    described = describe([Row("a:1", sample(), 1.4), Row("b:1", error="timed out")], [])
    ready, silent = described["workers"]
    assert described["ok"] is False
    assert (ready["ids_per_second"], ready["reason"], ready["share_of_limit"]) == (1, None, 0.0)
    assert {name: value for name, value in silent.items() if value is not None} == {
        "address": "b:1",
        "ready": False,
        "reason": "timed out",
    }
    assert silent.keys() == ready.keys()


def test_conflict_is_not_ok() -> None:
    assert describe([Row("a:1", sample())], [])["ok"]
    assert not describe([Row("a:1", sample())], ["a conflict"])["ok"]


def test_one_process_at_two_addresses_is_fine() -> None:
    assert not list(find_conflicts([Row("a:1", sample()), Row("b:1", sample()), Row("c:1", error="timed out")]))


def test_finds_a_worker_id_twice() -> None:
    rows = [Row("a:1", sample(3, run_id="x")), Row("b:1", sample(3, run_id="y")), Row("c:1", sample(4))]
    assert list(find_conflicts(rows)) == ["worker ID 3 is in use by 2 processes, at a:1 and at b:1"]


def test_finds_different_layouts() -> None:
    rows = [
        Row("a:1", sample(1)),
        Row("a:1", sample(3)),
        Row("b:1", sample(2, layout=Layout.parse("41/4/8", Layout().epoch_ms))),
    ]
    (line,) = find_conflicts(rows)
    assert line.endswith("can be equal: 41/10/12@1704067200000 at a:1; 41/4/8@1704067200000 at b:1")
