"""Write the tables of nanolm/text/unicode_bert.py: ask Hugging Face's tokenizers about every code point.

    python tests/peers/make_unicode_bert.py        prints them, ready to stand in the file

The crate behind `tokenizers` answers from tables of several ages (unicode_bert.py says which). So the tables are not
taken from a Unicode file but from the crate: each code point goes through one step of its normaliser alone.
test_wordpiece_tokenizers.py does the same again and compares.
"""
import unicodedata

from tokenizers import normalizers, pre_tokenizers

EVERY = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]             # tokenizers takes no lone surrogates


def bert(**on):
    """BertNormalizer with the named steps on, and the others off."""
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**{**off, **on}).normalize_str


def removed():
    clean = bert(clean_text=True)
    return {c for c in EVERY if clean(f"a{chr(c)}a") == "aa"} | set(range(0xD800, 0xE000))


def spaces():
    clean = bert(clean_text=True)
    return {c for c in EVERY if clean(f"a{chr(c)}a") == "a a"}


def chinese():
    space = bert(handle_chinese_chars=True)
    return {c for c in EVERY if space(chr(c)) == f" {chr(c)} "}


def marks():
    strip = bert(strip_accents=True)
    return {c for c in EVERY if strip(f"a{chr(c)}a") == "aa"}


def punctuation():
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    return {c for c in EVERY if len(split(f"a{chr(c)}a")) == 3}


def digits():
    split = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str
    return {c for c in EVERY if len(split(f"a{chr(c)}a")) == 3}


def decomposed():
    nfd = normalizers.NFD().normalize_str
    return {c for c in EVERY if nfd(chr(c)) != chr(c)}


def lower():
    """{code point: its lower case, a str}."""
    low = bert(lowercase=True)
    return {c: low(chr(c)) for c in EVERY if low(chr(c)) != chr(c)}


def classes(all_marks):
    """{combining class: the code points that NFD moves and that are not in `all_marks`}.

    tokenizers shows which ones it moves: past U+0334, class 1, or before U+0345, class 240. By which class it sorts them
    says unicodedata; they are of Unicode 12 or older, which any Python knows, and a class never changes.
    """
    nfd = normalizers.NFD().normalize_str
    found = {}
    for c in EVERY:
        if c not in all_marks and nfd(chr(c)) == chr(c):
            if nfd(f"a{chr(c)}\u0334")[1] == "\u0334" or nfd(f"a\u0345{chr(c)}")[1] == chr(c):
                found.setdefault(unicodedata.combining(chr(c)), set()).add(c)
    return found


def ranges(code_points):
    """The entries of a table: "41-5A", "AA", ..."""
    runs = []
    for c in sorted(code_points):
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return [f"{a:X}" if a == b else f"{a:X}-{b:X}" for a, b in runs]


def steps(mapping):
    """The entries of LOWER: "41-5A:20" for a run, "100-12E/2:1" for every second code point."""
    entries, rest = [], {c: ord(s) - c for c, s in mapping.items() if len(s) == 1}
    while rest:
        first = min(rest)
        delta, best = rest[first], [first]
        for step in (1, 2):
            run = [first]
            while rest.get(run[-1] + step) == delta:
                run.append(run[-1] + step)
            if len(run) > len(best):
                best, stride = run, step
        for c in best:
            del rest[c]
        span = f"{first:X}" if len(best) == 1 else f"{first:X}-{best[-1]:X}" + ("/2" if stride == 2 else "")
        entries.append(f"{span}:{delta:X}")
    return entries


def show(name, entries):
    lines = [""]
    for entry in entries:
        if len(lines[-1]) + len(entry) > 118:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + entry
    return f'{name} = """\n' + "\n".join(lines) + '\n"""\n'


def main():
    every_mark = marks()
    for name, found in (("REMOVED", removed()), ("SPACES", spaces()), ("CHINESE", chinese()), ("DECOMPOSED", decomposed()),
                        ("MARKS", every_mark), ("PUNCTUATION", punctuation()), ("DIGITS", digits())):
        print(f"# {name}: {len(found)}\n{show(name, ranges(found))}")
    low = lower()
    longer = [(hex(c), s) for c, s in low.items() if len(s) != 1]
    print(f"# LOWER: {len(low)}, longer ones: {longer!a}\n{show('LOWER', steps(low))}")
    for number, found in sorted(classes(every_mark).items()):
        print(f"# class {number}: {len(found)}  {' '.join(ranges(found))}")


if __name__ == "__main__":
    main()
