"""The glossary's table of terms as Sphinx's glossary, so that the search leads to each term, in English and in Chinese.

On a code host docs/glossary.md is a table. On the site each row becomes a term with its Chinese names beneath it and the sentence
as its definition; the row's own anchor stays, for the index by pinyin.
"""
import re

ROW = re.compile(r'^\| <a id="(term-[\w-]+)"></a>([^|]+) \| ([^|]+) \| ([^|]+) \|$')
NOTE = re.compile(r"（[^）]*）$")


def as_glossary(text):
    """Return docs/glossary.md with the table under "## Terms" as a {glossary}. Raises ValueError for a row it cannot read."""
    head, mark, rest = text.partition("\n## Terms\n")
    table, other, index = rest.partition("\n## ")
    lines = table.split("\n")
    rows = [ROW.match(line) for line in lines]
    before = "\n".join(line for line in lines if not line.startswith("|"))
    lost = [line for line, row in zip(lines, rows) if line.startswith("| ") and not row][1:]           # the first: the heads
    if lost:
        raise ValueError(f"docs/glossary.md: a row of a term has another form than {ROW.pattern}: {lost[0]}")
    made, seen = ["```{glossary}"], set()
    for row in filter(None, rows):
        anchor, term, says, chinese = (part.strip() for part in row.groups())
        every, note = NOTE.sub("", chinese).split(" / "), NOTE.search(chinese)
        names = [name for name in every if name not in seen and name != term]          # a name leads to one term alone
        seen.update(names)
        more = [name for name in every if name not in names and name != term]
        made += [term, *names, f'  <a id="{anchor}"></a>{says} {" / ".join(more)}{note.group() if note else ""}'.rstrip(), ""]
    return head + mark + before.rstrip() + "\n\n" + "\n".join([*made, "```", ""]) + other + index
