// The search puts the lessons before the pages of the files, what begins with the words asked for first of all.
var Scorer = {
  score: result => {
    const [page, title, , , points] = result;
    const asked = (new URLSearchParams(window.location.search).get("q") || "").toLowerCase().trim();
    const named = title.toLowerCase().replace(/^\d\d /, "");
    const first = asked.split(/\s+/)[0];
    const lesson = page.startsWith("notebooks/");
    let more = lesson ? 30 : page.startsWith("docs/") ? 15 : 0;
    if (asked && named.startsWith(asked)) more += lesson ? 80 : 20;
    else if (first && named.startsWith(first)) more += 40;
    else if (asked && named.includes(asked)) more += 20;
    return points + more;
  },
  objNameMatch: 11, objPartialMatch: 6, objPrio: {0: 15, 1: 5, 2: -5}, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
