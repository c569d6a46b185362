"""The picture of a board: readable, and of any name."""

from io import BytesIO

import pytest
from PIL import Image, ImageColor

from receiver.notify import picture
from receiver.notify.notifier import WIDTH
from receiver.notify.picture import BAR, GROUND, HEAD, ROW, SCALE, draw, is_drawable
from shared.queries.digest import Board, Place


def drawn(*names: str) -> Image.Image:
    places = [
        Place(rank, name, 100 / rank, "1,200", rank + 1) for rank, name in enumerate(names, 1)
    ]
    board = Board("Points gained last week", "17 Nov – 23 Nov 2025", places, "About it")
    return Image.open(BytesIO(draw(board)))


def test_it_is_as_wide_as_a_mail_in_twice_the_pixels_and_light() -> None:
    image = drawn("Dana Brooks", "Chris")
    assert image.format == "PNG"
    assert image.width == WIDTH * SCALE
    assert image.convert("RGB").getpixel((0, 0)) == ImageColor.getrgb(GROUND)


@pytest.mark.parametrize("name", ["Dana Brooks", "Łukasz Żółć", "Αλέξανδρος", "Шура", "e\u0301"])
def test_names_that_the_font_has_are_drawn(name: str) -> None:
    assert is_drawable(name)


HOSTILE = ["محمد", "中村", "😀", "a\u202eb", "z\u0335a", "\u2800", "\x1b[31m", "", "   "]


@pytest.mark.parametrize("name", HOSTILE)
def test_of_a_name_that_it_has_not_the_place_is_drawn_and_no_boxes(name: str) -> None:
    assert not is_drawable(name)
    assert drawn(name).tobytes() == drawn("\U0010fffe").tobytes()


def test_a_long_name_ends_before_the_bar() -> None:
    image = drawn("W" * 500).convert("RGB")
    gap = ((BAR - 4) * SCALE, (HEAD + 4) * SCALE, (BAR - 1) * SCALE, (HEAD + ROW) * SCALE)
    assert image.crop(gap).getcolors() == [(3 * SCALE * (ROW - 4) * SCALE, (255, 255, 255))]


def test_without_the_font_of_the_pages_names_of_other_letters_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(picture, "_file_of_pages", lambda: None)
    picture._font.cache_clear()
    try:
        assert is_drawable("Dana Brooks")
        assert not is_drawable("Łukasz")
        drawn("Dana Brooks", "Łukasz")
    finally:
        picture._font.cache_clear()
