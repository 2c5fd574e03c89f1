"""The site in a real browser, on a phone's screen: links, pictures, formulas, the console, the search, light and dark.

Skipped where Chromium, its driver or Sphinx are missing. NANOLM_SITE names a folder that holds the site already, to look at
that one.
"""
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import browser

ROOT = Path(__file__).resolve().parents[2]
for module in ("sphinx", "myst_nb", "furo", "selenium"):
    pytest.importorskip(module, reason=f'{module} is missing: pip install -e ".[docs]" selenium')
if not browser.BINARY or not browser.DRIVER:
    pytest.skip("chromium or chromedriver is missing; Debian has both", allow_module_level=True)
PHONE = 390


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built site."""
    if os.environ.get("NANOLM_SITE"):
        return Path(os.environ["NANOLM_SITE"]).resolve()
    out = tmp_path_factory.mktemp("site") / "html"
    ran = subprocess.run([sys.executable, str(ROOT / "docs" / "build.py"), "--out", str(out)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return out


@pytest.fixture(scope="session")
def address(site):
    with browser.served(site) as there:
        yield there


class Page(HTMLParser):
    """The links, the anchors and what is loaded of one page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.loaded = [], {"", "top"}, []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        got = dict(attributes)
        self.anchors |= {got[name] for name in ("id", "name") if got.get(name)}
        if tag == "a" and got.get("href"):
            self.links.append(got["href"])
        if tag in ("img", "script", "iframe", "source") and got.get("src"):
            self.loaded.append(got["src"])
        if tag == "link" and got.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(got.get("href", ""))


@pytest.fixture(scope="session")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_there_is_a_page_for_each_lesson_each_module_and_what_the_course_needs(site):
    lessons = [path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
               for path in (ROOT / "nanolm").rglob("*.py") if path.name != "__main__.py"]
    due = [*(f"notebooks/{name}" for name in lessons), *(f"reference/{name}" for name in modules), "index", "search",
           *(f"docs/{name}" for name in ("tour", "speed", "exercises", "equations", "glossary", "teaching/index"))]
    assert len(lessons) >= 23 and not [name for name in due if not (site / f"{name}.html").is_file()]


def test_each_row_of_the_first_page_leads_somewhere(site):
    """A link to a file that has no page would lose its link without a word."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", (site / "index.html").read_text(encoding="utf-8"), re.S)
    dead = [re.sub(r"<[^>]+>", " ", row).strip() for row in rows if "<td" in row and "<a " not in row]
    assert len(rows) > 30 and not dead


def test_no_link_is_broken_and_nothing_is_loaded_from_elsewhere(site, pages):
    broken, elsewhere = [], []
    for path, page in pages.items():
        elsewhere += [f"{path.relative_to(site)}: {one}" for one in page.loaded if re.match(r"(https?:)?//", one)]
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)} -> {link}")
            elif target.suffix == ".html" and parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{path.relative_to(site)} -> {link}: no such place in the page")
    assert len(pages) > 300 and not broken, f"{len(broken)} broken: {broken[:20]}"
    assert not elsewhere, elsewhere[:10]


def test_every_page_reads_well_on_a_phone(site, address, pages):
    """No picture is missing, no formula is raw or wrong, nothing is wider than the screen, nothing is said on the console."""
    names = [path.relative_to(site).as_posix() for path in pages]
    with ThreadPoolExecutor(2) as pool:
        found = [line for part in pool.map(lambda part: look(address, part), (names[::2], names[1::2])) for line in part]
    assert not found, f"{len(found)} pages: " + "\n".join(found[:30])


def look(address, names):
    """Return a line for each page in which something is wrong."""
    found = []
    with browser.chromium(PHONE) as driver:
        for name in names:
            driver.get(f"{address}/{name}")
            seen = driver.execute_async_script(browser.LOOK)
            said = [one["message"][:160] for one in driver.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]
            wrong = [f"{seen['width']} pixels wide"] if seen["width"] > PHONE else []
            wrong += [f"raw TeX: {seen['raw'][:2]}"] if seen["raw"] else []
            wrong += [f"formulas that fail: {seen['merrors'][:2]}"] if seen["merrors"] else []
            wrong += ["its formulas are not set"] if seen["unset"] else []
            wrong += [f"missing pictures: {seen['pictures'][:2]}"] if seen["pictures"] else []
            wrong += [f"on the console: {said[:2]}"] if said else []
            found += [f"{name}: {'; '.join(wrong)}"] if wrong else []
    return found


def test_the_lessons_formulas_are_typeset(address):
    with browser.chromium(PHONE) as driver:
        driver.get(f"{address}/notebooks/05_layernorm.html")
        assert driver.execute_async_script(browser.LOOK)["formulas"] > 50
        tags = driver.execute_script("return document.querySelectorAll('mjx-labels').length")
        assert tags >= 10


@pytest.mark.parametrize("words, due", [("layer norm", "notebooks/05_layernorm"), ("softmax", "notebooks/03_softmax"),
                                        ("attention", "notebooks/07_attention"), ("softmax backward", "notebooks/03_softmax"),
                                        ("层归一化", "docs/glossary.html#term"), ("困惑度", "docs/glossary.html#term")])
def test_the_search_finds(address, words, due):
    from selenium.webdriver.support.ui import WebDriverWait
    with browser.chromium(1200, 900) as driver:
        driver.get(f"{address}/search.html?q={words.replace(' ', '+')}")
        WebDriverWait(driver, 20).until(lambda d: d.execute_script(
            "return /Search finished|found/.test(document.querySelector('#search-results .search-summary')?.textContent || '')"))
        links = driver.execute_script("return [...document.querySelectorAll('#search-results li a')].map(a => a.href)")
        assert due in links[0], links[:8]


def test_light_and_dark(address):
    with browser.chromium(1200, 900) as driver:
        driver.get(f"{address}/index.html")
        grounds = {}
        for theme in ("light", "dark"):
            driver.execute_script(f"document.body.dataset.theme = '{theme}'")
            grounds[theme] = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert grounds["light"] == "rgb(255, 255, 255)"
        assert max(map(int, re.findall(r"\d+", grounds["dark"])[:3])) < 60
        assert driver.execute_script("return document.querySelectorAll('.theme-toggle').length") >= 1
