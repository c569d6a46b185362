"""The board of a digest as a small picture: for mail, which shows no page."""

from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from unicodedata import combining, normalize

from PIL import Image, ImageDraw, ImageFont

from receiver.notify.notifier import WIDTH
from shared.queries.digest import Board, Place

ROW, HEAD, FOOT = 40, 56, 12
"""Heights in pixels of a mail."""
SCALE = 2
"""Drawn twice as large, for screens that have more pixels."""
LEFT, MOVED, NAME, BAR, RIGHT = 34, 44, 92, 312, 544
"""Where a row has its rank (up to there), movement, name, bar, and its end."""
GAP, THICK, FIGURE = 12, 16, 58
"""Between name and bar, of a bar, and the room for points after the longest bar."""
INK, MUTED, GROUND, ACCENT, LINE = "#0B1220", "#56607A", "#FFFFFF", "#2D52CC", "#E1E6EF"
UP, DOWN, NEW = "#0F6B41", "#B01E39", "#56607A"
REGULAR, BOLD = 400, 600
NO_NAME = "name in the list"
"""In place of a name that the font cannot show, as its boxes would say nothing."""
ABSENT = "\U0010fffe"
"""Has no glyph in any font."""


def draw(board: Board) -> bytes:
    """A PNG of the board, `WIDTH` wide in a mail and twice as wide in pixels."""
    height = HEAD + ROW * len(board.places) + FOOT
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), GROUND)
    pen = _Pen(ImageDraw.Draw(image))
    pen.text(LEFT - 18, 20, board.title, 17, BOLD)
    pen.text(RIGHT, 20, board.period, 14, REGULAR, MUTED, "rm")
    most = max(one.points for one in board.places)
    for number, place in enumerate(board.places):
        _row(pen, place, HEAD + ROW * number, most)
    written = BytesIO()
    image.quantize(32).save(written, "PNG", optimize=True)
    return written.getvalue()


def _row(pen: "_Pen", place: Place, top: int, most: float) -> None:
    pen.line(top)
    middle = top + ROW // 2
    pen.text(LEFT, middle, str(place.rank), 16, BOLD, INK, "rm")
    pen.text(MOVED, middle, *_moved(place))
    if is_drawable(place.name):
        pen.text(NAME, middle, pen.fitting(place.name, BAR - GAP - NAME, 16), 16)
    else:
        pen.text(NAME, middle, NO_NAME, 14, REGULAR, MUTED)
    end = BAR + max(3, round((RIGHT - FIGURE - BAR) * place.points / most))
    pen.bar(BAR, end, middle)
    pen.text(end + 8, middle, place.gained, 15, BOLD)


def _moved(place: Place) -> tuple[str, int, int, str]:
    """Words, size, weight and colour."""
    if place.before is None:
        return "new", 13, REGULAR, NEW
    rise = place.before - place.rank
    if not rise:
        return "–", 13, REGULAR, MUTED
    return f"{'▲' if rise > 0 else '▼'} {abs(rise)}", 13, BOLD, UP if rise > 0 else DOWN


def is_drawable(name: str) -> bool:
    """Whether the font has each sign of a name. Marks on letters and writing from right to left
    have rules of their own, which this knows nothing of."""
    font = _font(16, REGULAR)
    absent = bytes(font.getmask(ABSENT))
    signs = set(normalize("NFC", name)) - {" "}
    return bool(signs) and all(
        sign.isprintable() and not combining(sign) and bytes(font.getmask(sign)) != absent
        for sign in signs
    )


class _Pen:
    """Draws in pixels of a mail."""

    def __init__(self, on: ImageDraw.ImageDraw) -> None:
        self._on = on

    def text(
        self,
        x: int,
        y: int,
        text: str,
        size: int,
        weight: int = REGULAR,
        colour: str = INK,
        anchor: str = "lm",
    ) -> None:
        """`y` is the middle of the line."""
        at, font = (x * SCALE, y * SCALE), _font(size, weight)
        self._on.text(at, normalize("NFC", text), colour, font, anchor)

    def fitting(self, text: str, width: int, size: int) -> str:
        """The text, cut so that it fits."""
        font = _font(size, REGULAR)
        cut = text
        while font.getlength(cut if cut == text else f"{cut}…") > width * SCALE:
            cut = cut[:-1].rstrip()
        return cut if cut == text else f"{cut}…"

    def line(self, y: int) -> None:
        box = (16 * SCALE, y * SCALE, RIGHT * SCALE, y * SCALE)
        self._on.line(box, LINE, SCALE)

    def bar(self, begin: int, end: int, middle: int) -> None:
        half = THICK // 2
        box = (begin * SCALE, (middle - half) * SCALE, end * SCALE, (middle + half) * SCALE)
        self._on.rounded_rectangle(box, 3 * SCALE, ACCENT)


@cache
def _font(size: int, weight: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of the pages, which Streamlit brings; without it Pillow's own, which has only the
    letters of English."""
    found = _file_of_pages()
    if found is None:
        return ImageFont.load_default(size * SCALE)
    font = ImageFont.truetype(found, size * SCALE)
    font.set_variation_by_axes([weight])
    return font


def _file_of_pages() -> Path | None:
    streamlit = find_spec("streamlit")
    if streamlit is None or streamlit.origin is None:
        return None
    folder = Path(streamlit.origin).parent / "static" / "static" / "media"
    return next(folder.glob("SourceSansVF-Upright*.woff2"), None)
