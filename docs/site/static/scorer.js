// The search puts the lessons before the pages of the files, and the name of a thing before its mention.
var Scorer = {
  score: result => {
    const [page, , , , points] = result;
    return points + (page.startsWith("notebooks/") ? 30 : page.startsWith("docs/") ? 15 : 0);
  },
  objNameMatch: 11, objPartialMatch: 6, objPrio: {0: 15, 1: 5, 2: -5}, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
