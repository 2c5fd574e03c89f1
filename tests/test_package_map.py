"""The map of the package: every part has a place, no import points upwards, and the stored picture has the parts of today."""
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP / "docs"))

import package_map  # noqa: E402 (in docs)


def test_the_map_can_be_drawn_and_the_stored_one_names_the_same_parts():
    now = ElementTree.fromstring(package_map.picture().svg())
    kept = ElementTree.parse(TOP / "docs" / "pictures" / "package-map.svg").getroot()
    words = [[t.text for t in root.iter("{http://www.w3.org/2000/svg}text") if "lines" not in (t.text or "")] for root in (now, kept)]
    assert words[0] == words[1] and "layers" in words[0]


def test_an_import_that_points_upwards_is_seen():
    found, _ = package_map.imports(TOP)
    assert not package_map.upwards(found)
    assert package_map.upwards({**found, "layers": {"models"}}) == [("layers", "models")]


def test_a_part_without_a_place_stops_the_script(monkeypatch):
    monkeypatch.setattr(package_map, "ROWS", package_map.ROWS[:-1])
    with pytest.raises(ValueError, match="layers"):
        package_map.picture()
