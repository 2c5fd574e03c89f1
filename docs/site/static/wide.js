// A formula within a line cannot scroll by itself, unless it is a box. Only those that are wider than their line become one: a box
// loses the line's own height.
const markWide = () => document.querySelectorAll("span.math").forEach(one => {
  one.classList.remove("wide");
  const line = one.closest("p, li, td, dd, h1, h2, h3, blockquote") || one.parentElement;
  if (one.getBoundingClientRect().width > line.clientWidth) one.classList.add("wide");
});
window.addEventListener("load", () => {
  const wait = left => window.MathJax && MathJax.startup && MathJax.startup.promise && document.querySelector("mjx-container")
    ? MathJax.startup.promise.then(markWide) : left && setTimeout(() => wait(left - 1), 100);
  if (document.querySelector("span.math")) wait(200);
});
window.addEventListener("resize", markWide);
