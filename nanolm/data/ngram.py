"""n-gram models of characters with Witten-Bell smoothing: the simplest models that are hard to beat with little data.

An n-gram model predicts the next character c from the n - 1 before it, the context h, by counting in the training text:

    n(h c)   how often c followed h            n(h) = sum_c n(h c)            T(h)   how many different c followed h

Most contexts are rare, so every order leans on the one below, h' being h without its first character:

    P(c | h) = (n(h c) + T(h) P(c | h')) / (n(h) + T(h))            P(c | h) = P(c | h') where h never occurred

Witten and Bell's idea is the weight T(h): how often something new came after h is the best guess of how often something
new will come again. The lowest order, with no context, has N characters of V kinds and leans on all code points alike:

    P(c) = (n(c) + V / U) / (N + V)                                           U = 1,114,112, Unicode's code points

so a character that training never had gets V / (U (N + V)), and the probabilities of all code points add up to one at
every order. The first characters of a text have shorter contexts; a context never reaches back before its text.

Source    Witten, Bell 1991, IEEE Trans. Inf. Theory 37(4), method C; as an interpolation: Chen, Goodman 1998, "An
          empirical study of smoothing techniques for language modeling", Harvard TR-10-98, on Witten-Bell smoothing.
Speed     No dictionary of strings: every context that occurs in training has a number, and a context followed by a
          character is the number  context * (V + 1) + character,  so np.unique counts all of one order in one sort.
Tested    tests/test_baselines.py: against a dictionary implementation, and that probabilities add up to one.
"""
import numpy as np

CODE_POINTS = 0x110000


def probabilities(train, text, order, progress=None):
    """Return [P_1, ..., P_order], float64 arrays: P_n[i] is the n-gram probability of text[i] given what is before it.

    train, text: str. progress(done, total) is called after each order. Raises ValueError if either is empty.
    """
    for name, value in (("train", train), ("text", text)):
        if not value:
            raise ValueError(f"{name} is empty: there is nothing to count.")
    seen = code_points(train)
    alphabet, seen = np.unique(seen, return_inverse=True)               # from here on characters are 0 .. V - 1,
    V, N = len(alphabet), len(seen)
    asked = code_points(text)
    place = np.minimum(np.searchsorted(alphabet, asked), V - 1)
    asked = np.where(alphabet[place] == asked, place, V)                # and V is one that training never had

    P = (np.append(np.bincount(seen), 0)[asked] + V / CODE_POINTS) / (N + V)
    found = [P]
    gram, gram_asked = seen.astype(np.int64), np.where(asked < V, asked, -1)    # which n-gram ends here; -1: a new one
    if progress is not None:
        progress(1, order)
    for n in range(2, order + 1):
        # In training: an n-gram is an (n-1)-gram, the context, that ends one character earlier, and a character.
        contexts = gram.max() + 1
        codes, gram, counts = np.unique(gram[:-1] * (V + 1) + seen[n - 1:], return_inverse=True, return_counts=True)
        if not len(codes):                                              # training is shorter than n
            return found + [P] * (order - n + 1)
        T = np.bincount(codes // (V + 1), minlength=contexts)
        n_h = np.bincount(codes // (V + 1), weights=counts, minlength=contexts)

        # In text: h is the context of each character, -1 if training never had it or the text has just begun.
        h = np.concatenate([[-1], gram_asked[:-1]])
        code = np.where(h >= 0, h * (V + 1) + asked, -1)
        place = np.minimum(np.searchsorted(codes, code), len(codes) - 1)
        gram_asked = np.where(codes[place] == code, place, -1)
        n_hc = np.where(gram_asked >= 0, counts[place], 0)
        known = (h >= 0) & (n_h[h] > 0)                                 # 0: it only ends the training text
        P = np.where(known, (n_hc + T[h] * P) / np.where(known, n_h[h] + T[h], 1), P)
        found.append(P)
        if progress is not None:
            progress(n, order)
    return found


def code_points(text):
    """Return the code points of a str as a uint32 array; a lone surrogate counts as a character too."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
