r"""Streaming text without ever showing too much: no half characters, and no part of a stop string.

Half characters. A token of a byte-level tokenizer is a run of bytes, and a character is one to four bytes in UTF-8:

    0xxxxxxx  110xxxxx 10xxxxxx  1110xxxx 10xxxxxx 10xxxxxx  11110xxx 10xxxxxx 10xxxxxx 10xxxxxx

The first byte says how many follow, and every following byte begins with 10. So from the last few bytes it is plain
whether a character is unfinished; tokens are held back until none is.

Stop strings. "\n\n" may come as one token, as two, or as the end of one and the beginning of the next. So what has been
made but could still become a stop string, the longest end of the text that begins one, is held back until it is clear.
The stop string that is complete first, reading character by character, counts, so the result does not depend on where
the token boundaries fall. If two are complete at the same character, the longer one does.

Tested    tests/test_stopping.py, against decoding everything at the end and cutting it there.
"""


def unfinished(data):
    """Return True if the bytes `data` end inside a UTF-8 character that the next bytes may complete."""
    for n, byte in enumerate(reversed(data[-3:]), start=1):         # n bytes from this one to the end
        if byte < 0x80:
            return False                                            # 0xxxxxxx: complete in itself
        if byte >= 0xC0:                                            # 11......: the first byte of a character
            return n < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4 if byte < 0xF8 else 1)
    return False                                                    # three times 10xxxxxx: complete, or never valid


class WholeCharacters:
    """Token ids in, text out, whole characters at a time. Joined, the pieces are tokenizer.decode(all ids)."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.held = []                                              # ids whose bytes end inside a character

    def feed(self, token):
        """Return the text (perhaps "") that this token id completes."""
        self.held.append(token)
        if unfinished(b"".join(self.tokenizer.token_bytes(i) for i in self.held)):
            return ""
        return self.flush()

    def flush(self):
        """Return the text of what is held back; the tokenizer decides what an unfinished character looks like."""
        text, self.held = self.tokenizer.decode(self.held), []
        return text


class StopStrings:
    """Text in, text out, up to the first stop string.

    stops: an iterable of strings, or one string. Raises TypeError or ValueError if one is not a string, or is empty.
    """

    def __init__(self, stops=()):
        self.stops = (stops,) if isinstance(stops, str) else tuple(stops)
        for stop in self.stops:
            if not isinstance(stop, str):
                raise TypeError(f"stop must hold strings, but holds {stop!r}.")
            if stop == "":
                raise ValueError("stop holds an empty string, which would end every text at once. Leave it out.")
        self.held = ""                                              # a beginning of a stop string
        self.stopped = False

    def feed(self, text):
        """Return the text that is safe to show now. After a stop string, `stopped` is True and there is no more."""
        if self.stopped:
            return ""
        text = self.held + text
        found = [(text.index(stop) + len(stop), text.index(stop)) for stop in self.stops if stop in text]
        if found:
            self.stopped, self.held = True, ""
            _, start = min(found)                                   # the first to end; of these the first to start
            return text[:start]
        n_held = max((n for stop in self.stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        self.held = text[len(text) - n_held:]
        return text[:len(text) - n_held]

    def flush(self):
        """Return what was held back: the text is over, so it became no stop string."""
        text, self.held = self.held, ""
        return text
