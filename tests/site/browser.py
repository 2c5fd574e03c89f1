"""A headless Chromium, driven by selenium, and a server on this machine that gives it the pages."""
import contextlib
import functools
import http.server
import shutil
import threading

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

# Run in the page once its formulas are set: what a reader would stumble over. Text of code, of formulas and of scripts is not
# looked at: a backslash there is right.
LOOK = r"""
const done = arguments[arguments.length - 1];
const look = (left = 200) => {
  // MathJax's promise may be kept before the page's own formulas are taken up: ask again, for 20 seconds.
  if (left && document.querySelector(".math") && !document.querySelector("mjx-container")) return setTimeout(() => look(left - 1), 100);
  const raw = [], tex = /\$\$|\\\[|\\\]|\\\(|\\\)|\\(frac|tag|sum|begin|end|mathrm|operatorname|partial|left|right|text|sqrt)\b/;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const set = node.parentElement.closest("pre, code, script, style, mjx-container, .math-none");
    if (!set && tex.test(node.data)) raw.push(node.data.trim().slice(0, 80));
  }
  done({
    // The theme's article scrolls by itself, so that the page never does: ask the article too.
    width: Math.max(...[document.documentElement, ...document.querySelectorAll(".content, article")].map(e => e.scrollWidth)),
    raw,
    formulas: document.querySelectorAll("mjx-container").length,
    unset: document.querySelectorAll(".math").length > 0 && document.querySelectorAll("mjx-container").length == 0,
    merrors: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(
      e => (e.getAttribute("data-mjx-error") || e.textContent).slice(0, 80)),
    pictures: [...document.images].filter(i => !(i.complete && i.naturalWidth > 0) && i.loading != "lazy").map(i => i.src),
  });
};
// MathJax comes by a script that does not hold up the page: wait for it, then for the formulas.
const due = document.querySelector("script[src*=mathjax i]") !== null;
const wait = left => {
  if (due && left > 0 && !(window.MathJax && MathJax.startup && MathJax.startup.promise)) setTimeout(() => wait(left - 1), 50);
  else (due && window.MathJax.startup ? MathJax.startup.promise : Promise.resolve()).then(() => setTimeout(look, due ? 250 : 0), () => look());
};
wait(400);
"""


@contextlib.contextmanager
def served(folder):
    """Serve a folder on this machine alone; give its address."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def chromium(width=390, height=844):
    """Give a driver of a browser whose window is a phone's, 390 pixels wide."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    options = Options()
    options.binary_location = BINARY
    options.page_load_strategy = "normal"
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--disable-extensions", "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(60)
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
    try:
        yield driver
    finally:
        driver.quit()
