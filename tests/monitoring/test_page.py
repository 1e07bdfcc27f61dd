"""The status page in a real browser: live values, the ID decoder, time ranges, states, and accessibility."""

import re
import signal
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from respid.ids.layout import Layout
from respid.ids.timestamp import format_timestamp
from tests.support.browser import running_chromium
from tests.support.faked_clock import faked_clock
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, accepts_connections, wait_until

LAYOUTS = ["41/10/12", "42/10/11", "41/0/22", "40/5/8", "45/8/10", "52/1/10", "39/13/11"]
expect.set_options(timeout=WAIT_SECONDS * 1000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without errors in its console, in a time zone of its own."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            errors.append(message.text)

    page = browser.new_page(timezone_id="America/St_Johns", locale="en-GB")
    page.set_default_timeout(WAIT_SECONDS * 1000)
    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert [error for error in errors if "ERR_CONNECTION" not in error] == []  # what a stopped server causes


def open_page(page: Page, server: RunningServer) -> None:
    page.goto(f"http://127.0.0.1:{server.http_port}/")
    page.locator("#ruler div").first.wait_for()


def fact(page: Page, name: str) -> Locator:
    return page.locator("#facts div").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def rows(page: Page) -> list[list[str]]:
    """Returns the cells of each decoded ID, and its bits."""
    ids = [row.locator("td").all_inner_texts() for row in page.locator("#decoded tr.id").all()]
    bits = page.locator("#decoded tr.bits").all_inner_texts()
    return [[*cells, digits] for cells, digits in zip(ids, bits, strict=False)]


def test_values_are_live(page: Page, start_server: StartServer) -> None:
    server = start_server()
    open_page(page, server)
    expect(page.locator("#state")).to_have_text("ready")
    expect(fact(page, "IDs issued")).to_have_text("0")
    with server.client() as client:
        client.incrby("orders", 4000)
        expect(fact(page, "IDs issued")).to_have_text("4,000")
        expect(fact(page, "Connections")).to_have_text(re.compile("^1 now"))
    expect(fact(page, "Connections")).to_have_text(re.compile("^0 now"))
    # The rate falls to 0 again, and its peak stays in the chart, whose line of 0 is at 100.
    expect(page.locator("#share")).to_have_text(re.compile(r"peak of the last five minutes [\d,]*[1-9]"))
    heights = [float(y) for y in re.findall(r" ([\d.]+)", page.locator("#curve").get_attribute("d") or "")]
    assert 0 <= min(heights) < 99
    assert re.search("at most [1-9]", page.locator("#chart").get_attribute("aria-label") or "")


@pytest.mark.parametrize("widths", LAYOUTS)
def test_decoder_is_exact(page: Page, start_server: StartServer, widths: str) -> None:
    layout = Layout.parse(widths)
    server = start_server("--layout", widths, worker_id="0")
    open_page(page, server)
    end = 1 << layout.timestamp_bits + layout.timestamp_shift
    with server.client() as client:
        issued = client.incr("orders")
    identifiers = [issued, 0, 1, end - 1, end // 2 - 1, end // 3, 3 * end // 4 + 1]
    page.fill("#pasted", "\n".join(map(str, identifiers)))
    decoded = rows(page)
    assert [cells[0] for cells in decoded] == [str(identifier) for identifier in identifiers]
    for identifier, cells in zip(identifiers, decoded, strict=True):
        parts = layout.decompose(identifier)
        time = format_timestamp(parts.timestamp_ms).replace("T", " ").removesuffix("Z")
        assert cells[1] == time.replace("out of range", "beyond year 9999")
        assert cells[3:] == [str(parts.worker_id), str(parts.sequence), f"{identifier:0{end.bit_length() - 1}b}"]


def test_local_time_has_its_offset(page: Page, server: RunningServer) -> None:
    open_page(page, server)
    page.fill("#pasted", f"{Layout().least_id(1_767_225_600_123)}, {Layout().least_id(1_782_864_000_000)}")
    assert [cells[1:3] for cells in rows(page)] == [
        ["2026-01-01 00:00:00.123", "2025-12-31 20:30:00.123 -03:30"],
        ["2026-07-01 00:00:00.000", "2026-06-30 21:30:00.000 -02:30"],
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-26T09:30:02.123Z order 384149074816823426 paid in 1767225600123 ms", ["384149074816823426"]),
        ('id,name\n"384149074816823426",Ann\n384149074816823427,Bob 12', ["384149074816823426", "384149074816823427"]),
        ('{"id":384149074816823426}, id=384149074816823427.', ["384149074816823426", "384149074816823427"]),
        ("request 3f2b384149074816823426 1.384149074816823426 v384149074816823426", []),
        ("5, 6", ["5", "6"]),
        ("9223372036854775807", ["9223372036854775807"]),
    ],
)
def test_ids_are_found_in_text(page: Page, server: RunningServer, text: str, found: list[str]) -> None:
    open_page(page, server)
    page.fill("#pasted", text)
    assert page.locator("#decoded tr.id td:first-child").all_inner_texts() == found
    expect(page.locator("#found")).to_have_text(re.compile(rf"^{len(found)} IDs? found" if found else "^No ID found"))


@pytest.mark.parametrize("number", ["9223372036854775808", "-1", "1" * 5000])
def test_numbers_beyond_the_layout_are_refused(page: Page, server: RunningServer, number: str) -> None:
    open_page(page, server)
    page.fill("#pasted", f"{number}\n5")
    expect(page.locator("#decoded td.wrong")).to_have_text("not an ID of the layout 41/10/12@1704067200000")
    assert page.locator("#decoded tr.id").count() == 2


@pytest.mark.parametrize(
    "text",
    ["<img src=x onerror=alert(1)>", "</textarea><script>alert(1)</script>", "<b>384149074816823426</b>", "&lt;b&gt;"],
)
def test_pasted_text_is_never_html(page: Page, server: RunningServer, text: str) -> None:
    open_page(page, server)
    elements = page.locator("img, b, script").count()
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.fill("#pasted", text)
    found = page.locator("#found").inner_text()
    assert text in found or found == "1 ID found"
    assert page.locator("img, b, script").count() == elements


def test_many_ids_are_decoded_at_once(page: Page, server: RunningServer) -> None:
    open_page(page, server)
    paste(page, "\n".join(str(384149074816823426 + number) for number in range(20_000)))
    expect(page.locator("#found")).to_have_text("20,000 IDs found, the first 500 of them below")
    assert page.locator("#decoded tr.id").count() == 500


def paste(page: Page, text: str) -> None:
    """Typing a long text would take a minute."""
    page.locator("#pasted").evaluate("(field, text) => { field.value = text; }", text)
    page.dispatch_event("#pasted", "input")


def test_long_text_is_not_cut_within_an_id(page: Page, server: RunningServer) -> None:
    open_page(page, server)
    paste(page, " ".join(["384149074816823426", "x" * 999_970, "384149074816823427"]))
    expect(page.locator("#found")).to_have_text("1 ID found in the first 1,000,000 characters")
    paste(page, "x" * 1_000_001)
    expect(page.locator("#found")).to_have_text("No ID found in the first 1,000,000 characters")


def test_excerpt_cannot_disguise_the_page(page: Page, server: RunningServer) -> None:
    """Characters that reverse the text, or hide a part of it, are replaced."""
    open_page(page, server)
    page.fill("#pasted", "a\n\u202eb\0c")
    expect(page.locator("#found")).to_have_text("No ID found in “a \ufffdb\ufffdc”")


@pytest.mark.parametrize(("zone", "hours_ahead"), [("utc", 0.0), ("local", 3.5)])
def test_time_range_gives_its_ids(page: Page, server: RunningServer, zone: str, hours_ahead: float) -> None:
    open_page(page, server)
    page.select_option("#zone", zone)
    page.fill("#from", "2026-01-01T00:00:00.250")
    page.fill("#to", "2026-01-02T00:00")
    begin, end = (round(ms + hours_ahead * 3_600_000) for ms in (1_767_225_600_250, 1_767_312_000_000))
    layout = Layout()
    expect(page.locator("#where")).to_have_text(
        f"WHERE id >= {layout.least_id(begin)} AND id < {layout.greatest_id(end - 1) + 1}"
    )


@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [
        ("2026-01-02T00:00", "2026-01-02T00:00", "The range is empty: the second time must be later than the first."),
        ("", "2026-01-02T00:00", "Enter both times."),
        ("2026-01-01T00:00", "12026-01-02T00:00", "Enter years of four digits."),
        (
            "2023-12-31T00:00",
            "2026-01-02T00:00",
            "The layout covers 2024-01-01 00:00:00 to 2093-09-06 15:47:35.552 UTC.",
        ),
        (
            "2026-01-02T00:00",
            "2093-09-07T00:00",
            "The layout covers 2024-01-01 00:00:00 to 2093-09-06 15:47:35.552 UTC.",
        ),
    ],
)
def test_wrong_ranges_are_explained(page: Page, server: RunningServer, begin: str, end: str, told: str) -> None:
    open_page(page, server)
    page.fill("#from", begin)
    page.fill("#to", end)
    expect(page.locator("#where")).to_have_text(told)


def test_draining_and_stopped_servers_are_shown(page: Page, start_server: StartServer) -> None:
    server = start_server("--drain-delay", "600")
    open_page(page, server)
    expect(page.locator("#state")).to_have_text("ready")
    server.process.send_signal(signal.SIGTERM)
    expect(page.locator("#state")).to_have_text("not ready")
    expect(page.locator("#reason")).to_have_text("the server is draining")
    expect(page).to_have_title(re.compile("^not ready: "))
    server.stop_at_once()
    expect(page.locator("#state")).to_have_text("no answer")
    expect(page.locator("#reason")).to_be_visible()


def test_clock_that_was_set_back_is_shown(page: Page, start_server: StartServer) -> None:
    server = start_server("--max-clock-lead", "120", **faked_clock(3600))
    state_dir = str(server.log_path.parent / "state")
    with server.client() as client:
        client.incr("orders")
    server.stop()
    behind = start_server("--max-clock-lead", "120", "--state-dir", state_dir, wait=False)
    wait_until(lambda: accepts_connections(behind.http_port))
    open_page(page, behind)
    expect(page.locator("#state")).to_have_text("not ready")
    expect(page.locator("#reason")).to_have_text(re.compile("more than the 120 s of RESPID_MAX_CLOCK_LEAD"))
    assert "bad" in (page.locator("#lead").get_attribute("class") or "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_page_is_accessible(browser: Browser, server: RunningServer, scheme: str, width: int) -> None:
    page = browser.new_page(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 800}, bypass_csp=True
    )
    open_page(page, server)
    page.fill("#pasted", "384149074816823426, 99999999999999999999")
    results = Axe().run(page, options={"resultTypes": ["violations", "incomplete"]})
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_page_is_usable_by_keyboard(page: Page, server: RunningServer) -> None:
    open_page(page, server)
    focused = []
    for _ in range(30):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.id || document.activeElement.localName"))
    order = list(dict.fromkeys(focused))
    assert [each for each in order if each in ("pasted", "from", "to", "zone", "copy")] == order[:5]


def test_screen_reader_sees_the_values(page: Page, server: RunningServer) -> None:
    open_page(page, server)
    tree = page.locator("body").aria_snapshot()
    assert re.search(r'heading "respid" \[level=1\]', tree)
    for name in ("Share of the limit", "Clock lead", "Reservation left"):
        assert re.search(rf'meter "{name}"', tree), tree
    assert 'img "The bits of an ID: 1 unused, 41 timestamp, 10 worker, 12 sequence"' in tree
    assert re.search(r"status: ready", tree), tree


def test_hidden_page_does_not_ask(page: Page, server: RunningServer) -> None:
    open_page(page, server)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    asked: list[str] = []
    page.wait_for_timeout(1500)  # for the request that may be on its way
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []
