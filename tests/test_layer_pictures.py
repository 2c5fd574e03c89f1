"""The pictures for slides: the stored files are what the script makes, they can be read, and their numbers are nanolm's."""
import itertools
import math
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from nanolm import kernels
from nanolm.generation import kv_cache
from nanolm.layers import (attention, cross_entropy, dropout, embedding, gelu, grouped, layernorm, linear, masks, mlp, multihead,
                           positions, rmsnorm, rotary, silu, softmax)
from nanolm.models import bert_pretraining, gpt2, seq2seq
from nanolm.training import lora
from nanolm.training.optimizers import adamw

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP / "docs"))

from layer_pictures import catalogue, draw, width  # noqa: E402 (in docs)

SVG = "{http://www.w3.org/2000/svg}"
NAMES = list(catalogue.LESSONS)


@pytest.fixture(autouse=True)
def plain():
    with kernels.using("numpy"):
        yield


@pytest.fixture(scope="module")
def drawn():
    return {picture.name: picture for picture in catalogue.pictures()}


def stored(name):
    return (TOP / "docs" / "layers" / f"{name}.svg").read_bytes()


def arrays(svg):
    """Return the arrays of numbers that a picture shows, {name: matrix}, as far as they are rounded."""
    found = {}
    for group in ElementTree.fromstring(svg).iter(SVG + "g"):
        said = list(group.iter(SVG + "text"))
        if said:
            rows = {text.get("y"): [] for text in said}
            for text in said:
                word = "".join(text.itertext()).replace("−", "-").replace("∞", "inf").replace("·", "0").replace(",", "")
                rows[text.get("y")].append(float(word))
            found[group.get("data-array")] = np.array(list(rows.values()))
    return found


def boxes(svg):
    """Return (text, left, top, right, bottom) of each text, as wide as the widest font makes it."""
    for text in ElementTree.fromstring(svg).iter(SVG + "text"):
        size, mono, bold = float(text.get("font-size")), text.get("font-family") is not None, text.get("font-weight") == "bold"
        wide = width.of(text.text or "", size, mono, bold)
        for span in text.iter(SVG + "tspan"):
            wide += width.of(span.text, float(span.get("font-size", size)), mono, bold)
            assert float(span.get("font-size", size)) >= 28
        assert size >= 28
        left = float(text.get("x")) - wide * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor", "start")]
        y = float(text.get("y"))
        yield "".join(text.itertext()), left, y - 0.75 * size, left + wide, y + 0.2 * size


@pytest.mark.parametrize("name", NAMES)
def test_stored_file_is_what_the_script_makes(name, drawn):
    assert stored(name) == drawn[name].svg().encode("utf-8"), f"run: python docs/layer_pictures.py {name}"


def test_page_is_what_the_script_makes_and_its_files_are_there(drawn):
    page = (TOP / "docs" / "teaching" / "pictures.md").read_text(encoding="utf-8")
    assert page == catalogue.page(list(drawn.values()))
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert (TOP / "docs" / "teaching" / target).resolve().is_file(), target
    assert {path.stem for path in (TOP / "docs" / "layers").glob("*")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_file_is_small_plain_and_16_to_9(name):
    svg = stored(name)
    root = ElementTree.fromstring(svg)
    assert len(svg) < 60_000 and root.get("viewBox") == "0 0 1600 900"
    assert root.find(SVG + "title").text and root.find(SVG + "desc").text
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds <= {"svg", "title", "desc", "rect", "g", "text", "tspan", "polyline", "polygon", "circle"}
    assert svg.count(b"http") == 1 and b"href" not in svg           # the name of the format alone
    ground = root.find(SVG + "rect")
    assert (ground.get("width"), ground.get("height"), ground.get("fill")) == ("1600", "900", "#ffffff")


@pytest.mark.parametrize("name", NAMES)
def test_text_fits_and_nothing_is_written_over(name):
    found = list(boxes(stored(name)))
    for text, left, top, right, bottom in found:
        assert left >= 28 and right <= 1572 and top >= 20 and bottom <= 880, \
            f"{text!r} reaches {left:.0f} ... {right:.0f}, {bottom:.0f}"
    for one, other in itertools.combinations(found, 2):
        apart = one[3] <= other[1] or other[3] <= one[1] or one[4] <= other[2] or other[4] <= one[2]
        assert apart, f"{one[0]!r} and {other[0]!r} overlap"


def test_colours_can_be_read_on_white():
    def light(colour):
        parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        linear_parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(f * c for f, c in zip((0.2126, 0.7152, 0.0722), linear_parts))
    for colour in (draw.FORTH, draw.BACK, draw.GREY, draw.INK):
        assert 1.05 / (light(colour) + 0.05) > 4.5                          # WCAG's contrast for text
    for colour in (draw.FORTH, draw.BACK, draw.GREY):
        assert (light(draw.mixed(colour, 1)) + 0.05) / (light(draw.INK) + 0.05) > 7


def close(got, expected, places=0.006):
    np.testing.assert_allclose(got, expected, atol=places, rtol=0)


def test_linear_by_hand():
    a = arrays(stored("linear"))
    close(a["y"], a["x"] @ a["weight W"] + a["bias b"])
    close(a["dx"], a["dy"] @ a["weight W"].T)
    close(a["dweight"], a["x"].T @ a["dy"])
    close(a["dbias"], a["dy"].sum(axis=0, keepdims=True))


def test_softmax_and_cross_entropy_by_hand():
    a = arrays(stored("softmax"))
    y = np.exp(a["x"]) / np.exp(a["x"]).sum(axis=-1, keepdims=True)
    close(a["y"], y)
    close(a["dx"], y * (a["dy"] - (a["dy"] * y).sum(axis=-1, keepdims=True)))
    a = arrays(stored("cross_entropy"))
    p = np.exp(a["logits"]) / np.exp(a["logits"]).sum(axis=-1, keepdims=True)
    came = np.eye(4)[a["target"][:, 0].astype(int)]
    close(a["p"], p)
    close(a["nll"][:, 0], -np.log((p * came).sum(axis=-1)))
    close(a["loss"], a["nll"].mean(), 0.011)
    close(a["dlogits"], (p - came) / 3)


def test_lookups_and_sums_by_hand():
    a = arrays(stored("embedding"))
    ids = a["ids"][:, 0].astype(int)
    close(a["y"], a["weight"][ids])
    close(a["dweight"], [a["dy"][ids == v].sum(axis=0) for v in range(5)])
    a = arrays(stored("positions"))
    close(a["y[1]"], a["x[1]"] + a["weight W"][:3])
    close(a["dweight"][:3], a["dy[0]"] + a["dy[1]"])
    a = arrays(stored("grouped"))
    close(a["dk0"], a["dk head 0"] + a["dk head 1"], 0.016)
    a = arrays(stored("dropout"))
    close(a["y"], a["x"] * a["keep"] * 2)
    close(a["dx"], a["dy"] * a["keep"] * 2)
    a = arrays(stored("residual"))
    close(a["dx"], a["dy"] + a["f.backward(dy)"], 0.011)


def test_norms_and_attention_by_hand():
    a = arrays(stored("layernorm"))
    n = (a["x"] - a["x"].mean(axis=-1, keepdims=True)) / a["x"].std(axis=-1, keepdims=True)
    close(a["n"], n)
    close(a["y"], n * a["weight, bias"][0] + a["weight, bias"][1])
    close(a["dx"].sum(axis=-1), 0, 0.016)
    a = arrays(stored("rmsnorm"))
    close(a["n"], a["x"] / np.sqrt((a["x"] ** 2).mean(axis=-1, keepdims=True)))
    a = arrays(stored("attention"))
    P = np.exp(a["q"] @ a["k"].T / math.sqrt(2))
    P /= P.sum(axis=-1, keepdims=True)
    dP = a["dy"] @ a["v"].T
    ds = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    for name, expected in (("P", P), ("y", P @ a["v"]), ("ds", ds), ("dq", ds @ a["k"] / math.sqrt(2)),
                           ("dk", ds.T @ a["q"] / math.sqrt(2)),
                           ("dv", P.T @ a["dy"])):
        close(a[name], expected)
    a = arrays(stored("masks"))
    assert not np.triu(a["P"], 1).any() and not np.triu(a["ds"], 1).any() and not a["ds"][:, 3].any()


def test_what_came_later_by_hand():
    a = arrays(stored("rotary"))["scores"]
    assert all(len(set(np.diagonal(a, k))) == 1 for k in range(-3, 4))
    a = arrays(stored("kv_cache"))
    close(a["full"], a["steps"], 1e-9)
    a = arrays(stored("lora"))
    close(a["W′"], a["W"] + 0.5 * a["A"] @ a["B"])


def altered(function):
    """Return a function that computes the right answers and returns 2 x + 1 for each x of them; caches are left alone."""
    def wrong(*arguments, **names):
        made = function(*arguments, **names)
        return tuple(alter(part) for part in made) if isinstance(made, tuple) else alter(made)

    def alter(value):
        if isinstance(value, dict):
            return {key: alter(part) for key, part in value.items()}
        return 2 * value + 1 if isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f" else value
    return wrong


CALLS = [("linear", linear, "forward", {"y"}), ("linear", linear, "backward", {"dx", "dweight", "dbias"}),
         ("gelu", gelu, "forward", {"y"}), ("gelu", gelu, "backward", {"dx"}),
         ("softmax", softmax, "forward", {"y"}), ("softmax", softmax, "backward", {"dx"}),
         ("embedding", embedding, "forward", {"y"}), ("embedding", embedding, "backward", {"dweight"}),
         ("positions", positions, "forward", {"y[0]", "y[1]"}),
         ("positions", positions, "backward", {"dx[0] = dy[0]", "dweight"}),
         ("layernorm", layernorm, "forward", {"n", "y"}), ("layernorm", layernorm, "backward", {"dx", "dweight, dbias"}),
         ("rmsnorm", rmsnorm, "forward", {"n", "y"}), ("rmsnorm", rmsnorm, "backward", {"dx", "dweight"}),
         ("dropout", dropout, "forward", {"y"}), ("dropout", dropout, "backward", {"dx"}),
         ("cross_entropy", cross_entropy, "forward", {"loss", "nll"}), ("cross_entropy", cross_entropy, "backward", {"dlogits"}),
         ("attention", attention, "forward", {"y"}), ("attention", attention, "backward", {"dq", "dk", "dv"}),
         ("masks", softmax, "backward", {"ds"}), ("masks", softmax, "forward", {"P"}),
         ("multihead", softmax, "forward", {"P0", "P1"}), ("multihead", multihead, "backward", set()),
         ("residual", linear, "forward", {"f(x)", "y"}), ("residual", linear, "backward", {"dx", "f.backward(dy)"}),
         ("mlp", mlp, "forward", {"y"}), ("mlp", mlp, "backward", {"dx"}), ("mlp", gelu, "backward", {"du", "dx"}),
         ("swiglu", silu, "forward", {"h", "y", "du"}), ("swiglu", silu, "backward", {"dg", "dx"}),
         ("rotary", rotary, "forward", {"y", "scores"}), ("rotary", rotary, "backward", {"dx"}),
         ("grouped", grouped, "shared", {"k head 0", "k head 3"}),
         ("grouped", attention, "backward", {"dk0", "dk1", "dk head 2"}),
         ("kv_cache", kv_cache, "extend", {"steps"}), ("kv_cache", gpt2, "logits", {"full"}),
         ("lora", lora, "merged", {"W′"}), ("lora", lora, "backward", {"dA", "dB"}),
         ("block", multihead, "backward", set()), ("block", mlp, "forward", set()), ("gpt2", gpt2, "forward", set()),
         ("gpt2", gpt2, "backward", set()), ("bert", bert_pretraining, "forward", set()),
         ("bert", bert_pretraining, "backward", set()),
         ("seq2seq", seq2seq, "forward", set()), ("seq2seq", seq2seq, "backward", set())]


@pytest.mark.parametrize("name, module, function, shown", CALLS, ids=lambda part: getattr(part, "__name__", str(part)))
def test_numbers_are_those_that_nanolm_returns(name, module, function, shown, monkeypatch):
    """Where a function of nanolm returns something else, the picture shows it: nothing was typed by hand."""
    make = vars(sys.modules[f"layer_pictures.{where(name)}"])[f"{name}_picture"]
    monkeypatch.setattr(module, function, altered(getattr(module, function)))
    svg = make().svg()
    assert svg.encode("utf-8") != stored(name)
    before, after = arrays(stored(name)), arrays(svg)
    assert shown <= {array for array in before if not np.array_equal(before[array], after[array])}


def test_adamw_and_masks_are_those_that_nanolm_returns(monkeypatch):
    monkeypatch.setattr(masks, "causal", lambda T, S=None: np.ones((T, S or T), bool))
    assert arrays(catalogue.attending.masks_picture().svg())["P"][0, 1] > 0
    right = adamw.step
    monkeypatch.setattr(adamw, "step", lambda p, grads, state, lr, **more: right(p, grads, state, 2 * lr, **more))
    after, before = (arrays(svg)["w0"] for svg in (catalogue.learning.adamw_picture().svg(), stored("adamw")))
    close(1 - after[0], 2 * (1 - before[0]), 0.002)


def where(name):
    """Return the file of docs/layer_pictures that draws a picture."""
    return next(module for module in ("first", "norms", "attending", "blocks", "whole", "later", "learning")
                if f"{name}_picture" in vars(sys.modules[f"layer_pictures.{module}"]))
