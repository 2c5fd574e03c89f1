"""A conversation: what is said is appended, the answer is generated, and nothing that was read is computed again.

    talk = Conversation(loaded)                      a Loaded model whose tokenizer has <|im_start|> and <|im_end|>
    for piece in talk.say("What is 2 + 2?"):  print(piece, end="")
    for piece in talk.say("And times 3?"):    ...    only these new tokens run through the model: window.py keeps the rest
    if talk.cut:  for piece in talk.go_on():  ...    the answer had no end yet: max_tokens were written

    head       [system]                                       what the assistant is told first
    turn 1     [user: ...] [assistant:                        read
               answer, token by token, until <|im_end|>       made, each read as it is made
    turn 2     <|im_end|> [user: ...] [assistant:             read; the end of turn 1 comes first

When the next turn and its answer do not fit into the context of S tokens any more, the oldest turns are dropped, whole ones, and
the rest is read again: head, newest turns. Reading costs time, so more is dropped than must be: until S / 2 are taken, or one
earlier turn is left. `dropped` counts them.

The repetition penalty looks at the answer that is being written and at the one before it, which a small model likes to say again.
It does not look at the rest: what the user said may be said, and <|im_end|>, which stands in every turn, stays as likely as the
model made it.

Tested    tests/test_conversation.py, tests/peers/test_smollm2.py.
"""
import numpy as np

from nanolm.generation import llama_cache, sampling, stopping, window
from nanolm.text import chat


class Conversation:
    """See the module's docstring. system: what the assistant is told first; None: nothing."""

    def __init__(self, loaded, system=chat.SYSTEM, cache=llama_cache):
        self.loaded, self.cache, self.tokenizer = loaded, cache, loaded.tokenizer
        self.end = loaded.tokenizer.id_of(chat.END)
        head = [] if system is None else [{"role": "system", "content": system}]
        self.head = chat.encode(loaded.tokenizer, head, generate=False).astype(np.int64)
        self.window = self._new_window()
        self.unread = []                                    # ids that the model has not read: the end of its own last turn
        self.starts = []                                    # where each turn begins in window.ids[0]
        self.dropped = 0                                    # turns that the model does not see any more
        self.forgets = 0                                    # how many more it forgets before it reads what was said last
        self.before, self.made = [], []                     # the ids of the last two answers, for the repetition penalty
        self.scores = None                                  # what the model says comes after the last one
        self.cut = False                                    # True if it was ended by max_tokens alone

    def _new_window(self):
        return window.Window(self.loaded.p, self.loaded.config, model=self.loaded.model, cache=self.cache)

    @property
    def length(self):
        """How many tokens the model has in mind."""
        return 0 if self.window.ids is None else self.window.ids.shape[1]

    def say(self, text, max_tokens=512, temperature=0.2, top_k=None, top_p=0.9, repetition_penalty=1.0, rng=None):
        """Return a generator of non-empty strings, the assistant's answer to the user's text, piece by piece.

        The settings are those of generate.tokens; rng is needed unless temperature is 0. A penalty of 1 is none; `nanolm chat`
        has 1.1 (docs/published-weights.md says why). Raises ValueError for a text of more than half the context; the
        conversation is then as it was. An answer that is not read to its end (the generator closed) ends there for the
        model, too.
        """
        settings = checked(rng, temperature, top_k, top_p, repetition_penalty)
        turn = chat.encode(self.tokenizer, [{"role": "user", "content": text}], system=None).astype(np.int64)
        room, n = self.loaded.config.block_size // 2, len(self.head) + len(turn)
        if n > room:
            told = f" ({len(self.head):,} of them from what the system says)" if len(self.head) else ""
            raise ValueError(f"what was said has {n:,} tokens{told}, and the model can answer to {room:,} at once, half of what "
                             f"it keeps in mind. Say it in parts.")
        max_tokens = min(max_tokens, self.loaded.config.block_size - n)
        self.forgets = self._plan(len(turn) + max_tokens)[2]
        return self._answer(turn, max_tokens, settings)

    def go_on(self, max_tokens=512, temperature=0.2, top_k=None, top_p=0.9, repetition_penalty=1.0, rng=None):
        """Return a generator of strings as say does, but of the last answer, from where it was cut.

        Raises ValueError if it was not cut, or if the context is full.
        """
        settings = checked(rng, temperature, top_k, top_p, repetition_penalty)
        if not self.cut:
            raise ValueError("there is no answer that was cut, so there is nothing to go on with. Say something.")
        if self.length >= self.loaded.config.block_size:
            raise ValueError(f"the model keeps {self.length:,} tokens in mind, and they are full. Say something: it goes on with "
                             f"fewer turns; or begin anew.")
        return self._write(self.scores, max_tokens, settings)

    def _answer(self, turn, max_tokens, settings):
        z = self._read(turn, max_tokens)
        self.unread = [self.end, *self.tokenizer.encode("\n")]              # from here on, however it ends
        self.before, self.made = self.made, []
        yield from self._write(z, max_tokens, settings)

    def _plan(self, n):
        """Return all ids so far, where each turn begins, the new one last, and how many turns go so that n tokens fit."""
        if self.window.ids is None:
            return self.head, [len(self.head)], 0
        past = np.concatenate([self.window.ids[0], self.unread]).astype(np.int64)
        starts = [*self.starts, len(past)]
        return past, starts, self._too_many(starts, n)

    def _read(self, turn, n):
        """Read a turn, for whose answer n tokens are left free; return the scores (1, V) of the first."""
        text, read, (past, starts, drop) = self.window, self.length, self._plan(len(turn) + n)
        if drop:
            text, read, gone = self._new_window(), 0, starts[drop] - len(self.head)
            past = np.concatenate([self.head, past[starts[drop]:]])
            starts = [at - gone for at in starts[drop:]]
        elif read:
            text.kv.length = read                           # Ctrl-C may have come when the one was written and the other not
        z = text.read(np.concatenate([past[read:], turn])[None])
        self.window, self.starts, self.dropped = text, starts, self.dropped + drop      # last: an interruption changes nothing
        return z

    def _too_many(self, starts, n):
        """Return how many of the oldest turns must be dropped before n tokens fit; starts: of all turns, the new one last."""
        S, old = self.loaded.config.block_size, len(starts) - 1
        taken = [len(self.head) + starts[-1] - at + n for at in starts]             # if that turn were the first that is kept
        if taken[0] <= S:
            return 0
        half = [i for i in range(1, old) if taken[i] <= S // 2]
        return half[0] if half else old - (taken[old - 1] <= S and old > 1)

    def _write(self, z, max_tokens, settings):
        """Write on from the scores z (1, V) of the next token; yield the text."""
        characters, self.cut, self.scores = stopping.WholeCharacters(self.tokenizer), False, z
        for _ in range(min(max_tokens, self.loaded.config.block_size - self.length)):
            token = sampling.choose(z, np.array([self.before + self.made], np.int64), *settings)    # (1,)
            if token[0] == self.end:
                break
            self.made.append(int(token[0]))
            self.scores = z = self.window.read(token[None])     # before the yield: the reader may stop there
            piece = characters.feed(self.made[-1])
            if piece:
                yield piece
        else:
            self.cut = True
        rest = characters.flush()
        if rest:
            yield rest


def checked(rng, temperature, top_k, top_p, repetition_penalty):
    """Return the settings as sampling.choose takes them; raise ValueError or TypeError if one makes no sense."""
    sampling.check(temperature, top_k, top_p, repetition_penalty)
    if temperature > 0 and not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy Generator, not {rng!r}, because temperature {temperature} draws at random. "
                        f"Make one with np.random.default_rng(seed), or ask for temperature=0.")
    return rng, temperature, top_k, top_p, repetition_penalty
