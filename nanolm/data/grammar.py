"""Probabilistic context-free grammars: draw texts, compute the exact probability of a text, and the exact entropy.

A grammar says of each symbol A how it may be rewritten, each way r with a probability p_r; texts are what is left when
nothing can be rewritten. A derivation is the tree of the choices made.

Entropy    A derivation of A is a choice of r, then independent derivations of the symbols in r. By the chain rule

               h_A = q_A + sum_B M_AB h_B        q_A = -sum_r p_r ln p_r             the entropy of the choice  (TR8)
                                                 M_AB = sum_r p_r (how often B stands in r)
               h = q + M h   =>   h = (I - M)^-1 q                                   a linear system, in nats   (TR9)

           The expected number of characters obeys the same system, with the expected number of characters written by
           the rules of A itself in place of q_A; so does the expected number of spaces.
Converges  (M^n)_AB is the expected number of B's n levels below an A, so the expected size of a derivation is
           I + M + M^2 + ..., which is finite, and equal to (I - M)^-1, if and only if M's largest eigenvalue is below 1
           in modulus. That holds if (I - M) x = 1 has a positive solution x, the expected numbers of choices: then
           M x = x - 1 < x in every component, and a non-negative M that shrinks a positive vector has only eigenvalues
           below 1 (Collatz, Wielandt). `expectations` looks at x and refuses the grammar otherwise.
Texts      If no text has two derivations (the grammar is unambiguous), a text and its derivation determine each other,
           and the entropy of the text is that of the derivation. `derivations` counts them.
Source     Booth, Thompson 1973, "Applying probability measures to abstract languages", IEEE Trans. Comput. C-22(5);
           Soule 1974, "Entropies of probabilistic grammars", Information and Control 25, for the entropy.
Derived    notebooks/14_training.ipynb.
Tested     tests/test_tales.py: against enumeration, and against the mean of -ln p over samples.

Notation, one rule a line; a line that begins with white space continues the one before:

    tale = <hero ANIMAL> <end> | 2: Nobody came.          alternatives, equally likely unless "weight:" stands in front
    hero ANIMAL = There was ANIMAL.a ANIMAL.               <name> is a symbol, everything else is text

Words in capitals are variables. A rule with a variable on its left stands for one rule per value. A variable that
occurs on the right only stands for a choice among its values, all equally likely, and the same value wherever it
occurs in that alternative: this is how a tale remembers whom it is about. ANIMAL.a is what the value's "a" says.
"""
import bisect
import itertools
import math
import re

import numpy as np


class Grammar:
    """rules: {symbol: [(probability, body)]}, where body alternates [text, symbol, ..., text]; texts may be empty."""

    def __init__(self, text, start, variables=None):
        """Read the notation above. variables: {NAME: {value: {attribute: text}}}.

        Raises ValueError with the bad rule. Probabilities are weights divided by their sum in the rule.
        """
        self.start, self.rules = start, {}
        for line in re.sub(r"\n[ \t]+", " ", text.strip()).split("\n"):
            if line.strip():
                self._read(line, variables or {})
        for symbol, alternatives in self.rules.items():
            for missing in {part for _, body in alternatives for part in body[1::2]} - set(self.rules):
                raise ValueError(f"the rule of {symbol!r} uses <{missing}>, for which there is no rule.")
        if start not in self.rules:
            raise ValueError(f"there is no rule for the start symbol {start!r}.")
        self.cumulative = {symbol: list(itertools.accumulate(p for p, _ in alternatives))
                           for symbol, alternatives in self.rules.items()}

    def _read(self, line, variables):
        left, equals, right = line.partition(" = ")
        if not equals:
            raise ValueError(f"a rule is written 'symbol = text | text', and this is not one: {line!r}.")
        for values in _choices(left, variables):
            alternatives = []
            for part in right.split("|"):
                weight, body = re.fullmatch(r"\s*(?:([\d.]+):)?\s*(.*?)\s*", part).groups()
                bodies = [_fill(body, values | more, variables) for more in _choices(body, variables, set(values))]
                alternatives += [(float(weight or 1) / len(bodies), re.split(r"<([^<>]+)>", body)) for body in bodies]
            total = sum(weight for weight, _ in alternatives)
            symbol = _fill(left.strip(), values, variables)
            if symbol in self.rules or total <= 0:
                raise ValueError(f"the rule of {symbol!r} is given twice, or its weights are all zero.")
            self.rules[symbol] = [(weight / total, body) for weight, body in alternatives if weight > 0]

    def sample(self, rng):
        """Return a text and ln p of the derivation that was drawn. rng: a random.Random (its stream never changes)."""
        return self._draw(self.start, rng)

    def _draw(self, symbol, rng):
        i = min(bisect.bisect(self.cumulative[symbol], rng.random()), len(self.rules[symbol]) - 1)
        p, body = self.rules[symbol][i]
        pieces, log_p = [], math.log(p)
        for k, part in enumerate(body):
            if k % 2:                                                   # a symbol, between two texts
                part, log_part = self._draw(part, rng)
                log_p += log_part
            pieces.append(part)
        return "".join(pieces), log_p

    def log_probability(self, text):
        """Return ln p(text), the sum over all its derivations; -inf if the grammar cannot write it."""
        return self._parse(text)[0]

    def derivations(self, text):
        """Return how many derivations text has: 0 if the grammar cannot write it, 1 if it is unambiguous there."""
        return self._parse(text)[1]

    def _parse(self, text):
        """Return ln p and the number of derivations of text, by the inside algorithm from the top down.

        inside(A, i) says of every place j where a derivation of A that begins at i can end, what the probabilities of
        those derivations add up to, and how many there are. Each (A, i) is computed once.
        """
        known = {}

        def inside(symbol, i):
            if (symbol, i) not in known:
                known[symbol, i] = None                                 # begun; to meet it again is to go in circles
                ends = {}
                for p, body in self.rules[symbol]:
                    reached = {i: (math.log(p), 1)}
                    for k, part in enumerate(body):
                        reached = after_symbol(part, reached) if k % 2 else after_text(part, reached)
                    add(ends, reached)
                known[symbol, i] = ends
            if known[symbol, i] is None:
                raise ValueError(f"the rules of {symbol!r} lead back to it before any text (left recursion): "
                                 f"this parser cannot follow them.")
            return known[symbol, i]

        def after_text(part, reached):
            return {j + len(part): value for j, value in reached.items() if text.startswith(part, j)}

        def after_symbol(part, reached):
            ends = {}
            for j, (log_p, count) in reached.items():
                add(ends, {end: (log_p + log_q, count * more) for end, (log_q, more) in inside(part, j).items()})
            return ends

        def add(ends, others):
            for end, (log_p, count) in others.items():
                before, number = ends.get(end, (-math.inf, 0))
                ends[end] = (float(np.logaddexp(before, log_p)) if number else log_p, number + count)

        return inside(self.start, 0).get(len(text), (-math.inf, 0))

    def expectations(self):
        """Return {"choices", "nats", "characters", "spaces"} of one text: its entropy in nats, and its expected sizes.

        Raises ValueError if the grammar's expected size is infinite.
        """
        index = {symbol: a for a, symbol in enumerate(self.rules)}
        M = np.zeros((len(index), len(index)))
        own = np.zeros((len(index), 4))                                 # choices, nats, characters, spaces of A's rules
        for symbol, a in index.items():
            for p, body in self.rules[symbol]:
                texts = "".join(body[0::2])
                own[a] += p, -p * math.log(p), p * len(texts), p * texts.count(" ")     # nats: q_A of (TR8)
                for part in body[1::2]:
                    M[a, index[part]] += p
        try:
            total = np.linalg.solve(np.eye(len(index)) - M, own)        # (TR9)
        except np.linalg.LinAlgError:                                   # an eigenvalue of exactly 1
            total = np.full_like(own, np.inf)
        if not (np.isfinite(total).all() and (total[:, 0] > 0).all()):
            raise ValueError("the expected size of a text of this grammar is infinite: on average, rules write symbols "
                             "faster than they finish them. Give the rules that recur less weight.")
        return dict(zip(("choices", "nats", "characters", "spaces"), map(float, total[index[self.start]])))


VARIABLE = re.compile(r"\b([A-Z]{2,})(?:\.(\w+))?")


def _choices(text, variables, given=()):
    """Yield {NAME: value} for every choice of values of the variables in text that are not given already."""
    names = [name for name in dict.fromkeys(match[1] for match in VARIABLE.finditer(text))
             if name in variables and name not in given]
    for values in itertools.product(*(variables[name] for name in names)):
        yield dict(zip(names, values))


def _fill(text, values, variables):
    """Return text with NAME replaced by its value and NAME.attribute by what the value says there."""
    def one(match):
        name, attribute = match.groups()
        if name not in values:
            return match[0]
        return variables[name][values[name]][attribute] if attribute else values[name]
    return VARIABLE.sub(one, text)
