"""When the fast path learns, doubts and gives up a template, and how much of a run it recognises at once.

The numbers are those of `fast_path`: 512 doubts are too many. Learning costs 32, learning the same again 4, an
attempt in vain 16, and a request of another kind 1. A frame that is recognised saves 8, or 1 if it would be known
otherwise.
"""

from collections.abc import Callable

import pytest

from respid.resp import fast_path
from respid.resp.fast_path import NO_RUN, RunReader, Template
from tests.support.byte_streams import request

WASTED_AFTER_LEARNING = (512 - 32) // 16  # that many attempts in vain are too many


def incrby(key: str, increment: int = 1) -> bytes:
    return request("INCRBY", key, str(increment))


def learned(key: bytes = b"k") -> RunReader[str]:
    """A reader that expects `INCRBY key 1`."""
    runs = RunReader[str]()
    runs.learn([b"INCRBY", key, b"1"], 1, "INCRBY")
    return runs


def waste(runs: RunReader[str], most: int = 1000) -> int:
    """Returns how many attempts in vain it takes until the template is given up."""
    for attempts in range(most):
        if runs.expects is None:
            return attempts
        assert runs.find(incrby("k", 2), 0) is NO_RUN
    return most


def compares_after_pause(runs: RunReader[str]) -> bool:
    """Whether it compares requests again after 8000 of them, and not earlier."""
    return [runs.repeats([b"PING"], 0) for _ in range(8002)] == [False] * 8001 + [True]


def test_gives_up_template_that_does_not_help() -> None:
    runs = learned()
    assert runs.subject == "INCRBY"
    assert waste(runs) == WASTED_AFTER_LEARNING


@pytest.mark.parametrize(("frames", "saved"), [(1, 0), (2, 1), (4, 2), (100, 2)])
def test_trusts_template_that_helps(frames: int, saved: int) -> None:
    runs = learned()
    assert runs.find(incrby("a") * frames, 0)[0] == frames
    assert waste(runs) == WASTED_AFTER_LEARNING + saved


def test_last_frame_is_judged_by_its_own_header() -> None:
    first = incrby("kk")
    incomplete = first.replace(b"$2\r\n", b"$9\r\n")
    assert learned().find(first + first, len(first))[0] == 1
    assert learned().find(first + incomplete, len(first)) == NO_RUN


def test_incomplete_frame_that_ends_like_a_whole_one_is_no_run() -> None:
    for length in range(100):
        for held in range(length + 2):
            incomplete = incrby("k").replace(b"$1\r\nk\r\n", b"$%d\r\n" % length + b"x" * held)
            assert learned().find(incomplete, 0) == NO_RUN


@pytest.mark.parametrize(
    ("arguments", "free", "others"),
    [
        (["INCRBY", "kk", "1"], 1, [(b"\n1\r", b"\n2\r"), (b"$2", b"$3"), (b"INCR", b"DECR")]),
        (["INCR", "kk"], 1, [(b"$2", b"$3"), (b"INCR", b"DECR")]),
        (["HINCRBY", "kk", "ff", "1"], 2, [(b"kk\r\n$2", b"kk\r\n$3"), (b"\n1\r", b"\n2\r"), (b"$2", b"$1")]),
        (["ID.NEXT", "AS", "STRING"], 0, [(b"STRING", b"STRINX"), (b"ID.NEXT", b"ID.LAST")]),
    ],
)
def test_single_frame_like_the_one_before_differs_in_keys_only(
    arguments: list[str], free: int, others: list[tuple[bytes, bytes]]
) -> None:
    sent = request(*arguments)
    runs = RunReader[str]()
    runs.learn([each.encode() for each in arguments], free, "subject")
    like = sent.replace(b"kk", b"*\n").replace(b"ff", b"\r$")
    for other in (like, *[sent.replace(*other, 1) for other in others]):
        for _ in range(2):
            assert runs.find_in_read(sent) == (1, len(sent))
        assert len(other) == len(sent)
        assert runs.find_in_read(other) == ((1, len(sent)) if other == like else NO_RUN)


def test_learning_the_same_again_is_doubted() -> None:
    """It recognises nothing, as if all requests came as inline commands."""
    runs = learned()
    for _ in range((512 - 32) // 4):
        assert runs.expects is not None
        assert not runs.learn([b"INCRBY", b"x", b"1"], 1, "INCRBY")
    assert runs.expects is None
    assert compares_after_pause(runs)


def test_requests_that_make_no_run_are_doubted() -> None:
    runs = RunReader[str]()
    for _ in range(512 // 32 - 1):
        runs.note_unlearnable()
    assert not runs.pause
    runs.note_unlearnable()
    assert compares_after_pause(runs)


@pytest.mark.parametrize(("frames", "doubts"), [(1, 24), (2, 16), (3, 8), (4, -32)])
def test_short_runs_among_others_are_doubted(frames: int, doubts: int) -> None:
    """A run that is all that was read is none of them."""
    for after, difference in ((b"*1", doubts), (b"", -8 * frames * (frames > 1))):
        runs = learned()
        for _ in range(5):
            runs.find(incrby("k", 2) * 2, 0)
        before = runs._doubts
        assert runs.find(incrby("k") * frames + after, 0)[0] == frames
        assert runs._doubts - before == difference


def test_runs_of_known_frames_save_little() -> None:
    """Two runs of 20 in turn take more time than 40 known frames."""
    runs = RunReader[str]()
    for turn in range((512 - 32) // (32 - 20)):
        key = "k" * (1 + turn % 2)
        assert runs.learn([b"INCRBY", key.encode(), b"1"], 1, "INCRBY")
        runs.note_known()
        assert runs.find(incrby(key) * 20, 0)[0] == 20
    runs.learn([b"INCRBY", b"k", b"1"], 1, "INCRBY")
    assert compares_after_pause(runs)


def test_requests_of_other_kinds_are_doubted() -> None:
    """Each was compared with the template."""
    runs = learned()
    runs.note_others(512 - 32 - 1)
    assert runs.expects is not None
    runs.note_others(1)
    assert compares_after_pause(runs)


@pytest.mark.parametrize(("frames", "saved"), [(1, 8), (2, 2), (16, 16)])
def test_each_read_that_is_a_run_is_trusted(frames: int, saved: int) -> None:
    """Also those that are recognised at once. A single known frame takes as much time as a parsed one."""
    runs = learned()
    runs.note_known()
    runs.note_others(400)
    for key in ("a", "a", "b", "a"):
        before = runs._doubts
        assert runs.find_in_read(incrby(key) * frames)[0] == frames
        assert before - runs._doubts == saved


@pytest.mark.parametrize("frames", [1, 3, 4, 100])
def test_last_frame_that_a_read_cuts_is_hardly_doubted(frames: int) -> None:
    """Nor is the run before it a short one among others."""
    one = incrby("k")
    for cut in range(1, len(one)):
        runs = learned()
        for _ in range(100):
            assert runs.find(one * frames + one[:cut], 0)[0] == frames
        assert runs._doubts <= 1


def test_gives_up_learning_after_many_templates() -> None:
    runs = RunReader[str]()
    for length in range(1, 16):
        runs.learn([b"INCRBY", b"x" * length, b"1"], 1, "INCRBY")
        assert runs.expects is not None
    runs.learn([b"INCRBY", b"x" * 16, b"1"], 1, "INCRBY")
    assert runs.expects is None
    assert compares_after_pause(runs)


def test_other_lengths_are_learned_without_a_pause() -> None:
    runs = learned()
    for _ in range(60):
        assert runs.expects is not None
        assert runs.find(incrby("ab") * 2, 0) == (2, 2 * len(incrby("ab")))
    assert runs.expects is None
    assert not runs.repeats([b"INCRBY", b"k", b"1"], 1)
    assert runs.repeats([b"INCRBY", b"k", b"1"], 1)


def test_frames_of_other_lengths_are_trusted() -> None:
    """As those of equal lengths: reads that are cut are known as runs for as long as they come."""
    runs = learned()
    pair = incrby("a") + incrby("abc")
    for turn in range(200):
        assert runs.find(pair * 20 + incrby("a")[:-9], 0) == (40, 20 * len(pair))
        runs.learn([b"INCRBY", b"k" * (1 + turn % 9), b"1"], 1, "INCRBY")
    assert runs.expects is not None
    assert not runs.pause


def test_lengths_of_template_end_a_row_of_others() -> None:
    runs = learned()
    for _ in range(59):
        runs.find(incrby("ab") * 2, 0)
    runs.find(incrby("k") + incrby("ab"), 0)
    for _ in range(59):
        runs.find(incrby("ab") * 2, 0)
    assert runs.expects is not None
    runs.find(incrby("ab") * 2, 0)
    assert runs.expects is None


def test_long_argument_is_not_learned() -> None:
    runs = learned()
    runs.learn([b"INCRBY", b"x" * 99, b"1"], 1, "INCRBY")
    assert runs.expects is not None
    assert not runs.learn([b"INCRBY", b"x" * 100, b"1"], 1, "INCRBY")
    assert runs.expects is None
    assert compares_after_pause(runs)


def test_requests_that_all_differ_are_compared_again_after_a_pause() -> None:
    runs = RunReader[str]()
    differing = [[b"INCRBY", b"k", b"%d" % number] for number in range(512 // 4)]
    assert not any(runs.repeats(arguments, 1) for arguments in differing)
    assert [runs.repeats(differing[-1], 1) for _ in range(8001)] == [False] * 8000 + [True]


def test_all_requests_count_for_the_pause() -> None:
    """Whether they are parsed or known. Nothing is learned until then."""
    runs = RunReader[str]()
    runs.pause = 100
    runs.note_others(30)
    assert not runs.may_learn(60)
    assert runs.pause == 10
    runs.note_others(20)
    assert runs.pause == 0
    runs.pause = 10
    assert not runs.may_learn(20)
    assert runs.pause == 0
    assert runs.may_learn(20)
    assert runs.pause == 0


@pytest.mark.parametrize(("arguments", "repeats"), [(8, True), (9, False)])
def test_compares_requests_of_few_arguments(arguments: int, *, repeats: bool) -> None:
    runs = RunReader[str]()
    runs.repeats([b"x"] * arguments, 1)
    assert runs.repeats([b"x", b"y", *[b"x"] * (arguments - 2)], 1) == repeats


def test_compares_long_arguments_unless_they_are_free() -> None:
    runs = RunReader[str]()
    for fixed, repeats in ((b"x" * 99, True), (b"x" * 100, False)):
        runs.repeats([b"SET", b"k" * 200, fixed], 1)
        assert runs.repeats([b"SET", b"q", fixed], 1) == repeats


@pytest.mark.parametrize("followed", [b"", incrby("k", 2), request("PING")])
def test_run_ends_after_512_frames(followed: bytes) -> None:
    assert learned().find(incrby("a") * 600 + followed, 0) == (512, 512 * len(incrby("a")))


def test_run_with_keys_of_other_lengths_ends_after_512_frames() -> None:
    pair = incrby("ab") + incrby("abc")
    assert learned().find(pair * 300, 0) == (512, 256 * len(pair))


def test_run_begins_at_the_position() -> None:
    one = incrby("a")
    for sent in (request("PING") + one * 3, request("PING") + one + incrby("ab") + incrby("c")):
        start = len(request("PING"))
        assert learned().find(sent, start) == (3, len(sent))
    runs = learned()
    runs.find(request("PING") + one * 4, start)
    assert waste(runs) == WASTED_AFTER_LEARNING + 2


def counted(monkeypatch: pytest.MonkeyPatch, method: str) -> list[tuple[object, ...]]:
    """Returns the calls of a method of templates, as they come."""
    calls: list[tuple[object, ...]] = []
    original: Callable[..., object] = getattr(Template, method)

    def count(template: Template, *given: object) -> object:
        calls.append(given)
        return original(template, *given)

    monkeypatch.setattr(Template, method, count)
    return calls


def test_run_as_long_as_the_last_one_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, sent = learned(), incrby("a") * 100
    calls = counted(monkeypatch, "count")
    runs.find(sent, 0)
    assert [most for _, _, most in calls] == [1, 1, 2, 4, 8, 16, 32, 32, 4]
    calls.clear()
    runs.find(sent, 0)
    assert [most for _, _, most in calls] == [64, 32, 4]
    calls.clear()
    runs.find(incrby("a") * 300, 0)
    assert [most for _, _, most in calls] == [64, 64, 128, 32, 8, 4]
    calls.clear()
    runs.find(incrby("a") * 300, 0)
    assert [most for _, _, most in calls] == [128, 128, 32, 8, 4]
    runs.find(incrby("ab") * 9, 0)
    calls.clear()
    runs.find(sent, 0)
    assert [most for _, _, most in calls] == [1, 1, 2, 4, 8, 16, 32, 32, 4]
    calls.clear()
    runs.find(incrby("a") * 512, 0)
    assert [most for _, _, most in calls] == [64, 64, 128, 128, 128]


def test_frames_of_equal_lengths_are_not_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The regular expression takes longer."""
    before, run = request("PING"), incrby("a") * 5
    monkeypatch.delattr(Template, "mixed_run")
    for after in (b"", before, b"*"):
        assert learned().find(before + run + after, len(before)) == (5, len(before + run))


def test_last_frame_of_another_length_is_recognised_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    before, last = request("PING"), incrby("abc")
    monkeypatch.delattr(Template, "mixed_run")
    assert learned().find(before + last, len(before)) == (1, len(before + last))


@pytest.mark.parametrize("arguments", [[b"INCR", b"k"], [b"HINCRBY", b"k", b"f", b"1"]])
def test_first_mixed_run_compiles_nothing(arguments: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """That would hold up all clients for 2 to 5 ms."""
    runs, longer = RunReader[bytes](), [arguments[0], b"key", *arguments[2:]]
    runs.learn(arguments, len(arguments) // 2, arguments[0])
    fast_path._mixed_runs.cache_clear()
    fast_path.prepare()
    monkeypatch.delattr("re.compile")
    sent = request(*arguments) + request(*longer)
    assert runs.find(sent, 0) == (2, len(sent))


def test_finds_nothing_before_anything_is_learned() -> None:
    runs = RunReader[str]()
    assert runs.find(incrby("k"), 0) == runs.find_in_read(incrby("k")) == NO_RUN


@pytest.mark.parametrize(
    ("header", "content_bytes"), [("$02", 2), ("$00", 0), ("$09", 9), ("$100", 100), ("$109", 109), ("$110", 20)]
)
def test_run_ends_at_another_header(header: str, content_bytes: int) -> None:
    """The length has one or two digits, and no leading zero."""
    one = incrby("ab")
    other = one.replace(b"$2\r\nab", header.encode() + b"\r\n" + b"x" * content_bytes)
    assert learned().find(one * 2 + other, 0) == (2, 2 * len(one))


def test_frame_that_lacks_an_argument_is_no_run() -> None:
    runs = RunReader[str]()
    runs.learn([b"HINCRBY", b"k", b"f", b"1"], 2, "HINCRBY")
    assert runs.find(request("HINCRBY", "k", "f", "1").replace(b"$1\r\nf\r\n", b""), 0) == NO_RUN


def test_read_like_the_last_one_is_recognised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = learned()
    for frames in (3, 16, 17, 128):
        sent, alike, other = (incrby(key) * frames for key in ("a", "b", "ab"))
        runs.find_in_read(sent)
        with monkeypatch.context() as patch:
            patch.delattr(RunReader, "_find")
            assert runs.find_in_read(sent) == runs.find_in_read(alike) == (frames, len(sent))
        assert runs.find_in_read(other) == (frames, len(other))


def test_read_like_an_earlier_one_has_its_own_run() -> None:
    """Not that of the last read, in whatever way that was recognised, nor that of a former template."""
    runs, equal, mixed = learned(), incrby("k") * 3, incrby("kk") + incrby("k") * 4
    for _ in range(2):
        assert runs.find_in_read(equal) == (3, len(equal))
        assert runs.find_in_read(incrby("l") * 3) == (3, len(equal))
        assert runs.find_in_read(mixed) == (5, len(mixed))
    runs.learn([b"INCRBY", b"k", b"7"], 1, "INCRBY")
    assert runs.find_in_read(mixed) == runs.find_in_read(equal) == NO_RUN
    runs.learn([b"INCRBY", b"k", b"1"], 1, "INCRBY")
    assert runs.find_in_read(equal) == (3, len(equal))
    runs.learn([b"INCRBY", b"k", b"7"], 1, "INCRBY")
    assert runs.find_in_read(equal) == runs.find_in_read(incrby("l") * 3) == NO_RUN


def test_read_of_the_same_size_need_not_be_a_run() -> None:
    runs, one = learned(), incrby("a")
    runs.find_in_read(one * 3)
    for sent in (one * 2 + incrby("a", 2), one * 2 + request("INCRBX", "a", "1"), incrby("a", 3) + one * 2):
        assert len(sent) == 3 * len(one)
        assert runs.find_in_read(sent) == learned().find(sent, 0)


@pytest.mark.parametrize(("frames", "held"), [(128, 4096), (129, 0)])
def test_holds_a_read_of_up_to_4096_bytes(frames: int, held: int) -> None:
    runs = learned(b"abc")
    runs.find_in_read(incrby("abc") * frames)
    assert runs.held_bytes == held
    runs.learn([b"INCRBY", b"xy", b"1"], 1, "INCRBY")
    assert runs.held_bytes == 0


def test_read_before_a_new_template_is_forgotten() -> None:
    runs = learned()
    runs.find_in_read(incrby("k") * 9)
    runs.learn([b"INCRBY", b"xy", b"1"], 1, "INCRBY")
    for data in (b"*", b"", incrby("xy")[:-1]):
        assert runs.find_in_read(data) == NO_RUN


def test_holds_no_read_with_more_than_a_run() -> None:
    runs = learned()
    for after in (b"*", request("PING")):
        assert runs.find_in_read(incrby("k") * 9 + after) == (9, 9 * len(incrby("k")))
        assert runs.held_bytes == 0
