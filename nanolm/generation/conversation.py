"""A conversation: what is said is appended, the answer is generated, and nothing that was read is computed again.

    talk = Conversation(loaded)                      a Loaded model whose tokenizer has <|im_start|> and <|im_end|>
    for piece in talk.say("What is 2 + 2?"):  print(piece, end="")
    for piece in talk.say("And times 3?"):    ...    only these new tokens run through the model: window.py keeps the rest

    turn 1   [system] [user: ...] [assistant:                 read
             answer, token by token, until <|im_end|>         made, each read as it is made
    turn 2   <|im_end|> [user: ...] [assistant:               read; the end of turn 1 comes first

When the text outgrows the context, window.py's policy "restart" drops the older half, the system's words among it.

Tested    tests/test_conversation.py, tests/peers/test_smollm2.py.
"""
import numpy as np

from nanolm.generation import llama_cache, sampling, stopping, window
from nanolm.text import chat


class Conversation:
    """See the module's docstring. system: what the assistant is told first; None: nothing."""

    def __init__(self, loaded, system=chat.SYSTEM, cache=llama_cache):
        self.tokenizer, self.system = loaded.tokenizer, system
        self.end = loaded.tokenizer.id_of(chat.END)
        self.window = window.Window(loaded.p, loaded.config, "restart", model=loaded.model, cache=cache)
        self.unread = []                                    # ids that the model has not read: the end of its own last turn

    @property
    def length(self):
        """How many tokens the conversation has so far."""
        return 0 if self.window.ids is None else self.window.ids.shape[1]

    def say(self, text, max_tokens=512, temperature=0.2, top_k=None, top_p=0.9, repetition_penalty=1.0, rng=None):
        """Return a generator of non-empty strings, the assistant's answer to the user's text, piece by piece.

        The settings are those of generate.tokens; rng is needed unless temperature is 0. Raises ValueError for a text of
        more than half the context; the conversation is then as it was. An answer that is not read to its
        end (the generator closed) ends there for the model, too.
        """
        sampling.check(temperature, top_k, top_p, repetition_penalty)
        if temperature > 0 and not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy Generator, not {rng!r}, because temperature {temperature} draws at random. "
                            f"Make one with np.random.default_rng(seed), or ask for temperature=0.")
        system = None if self.length else self.system
        turn = chat.encode(self.tokenizer, [{"role": "user", "content": text}], system=system)
        ids, room = np.concatenate([self.unread, turn]).astype(np.int64), self.window.config.block_size // 2
        if len(ids) > room:
            raise ValueError(f"what was said has {len(ids):,} tokens, and the model can answer to {room:,} at once, half of what "
                             f"it keeps in mind. Say it in parts.")
        return self._answer(ids, max_tokens, (rng, temperature, top_k, top_p, repetition_penalty))

    def _answer(self, ids, max_tokens, settings):
        characters = stopping.WholeCharacters(self.tokenizer)
        z = self.window.read(ids[None])
        self.unread = [self.end, *self.tokenizer.encode("\n")]              # from here on, however it ends
        for _ in range(max_tokens):
            token = sampling.choose(z, self.window.ids, *settings)          # (1,)
            if token[0] == self.end:
                break
            piece = characters.feed(int(token[0]))
            if piece:
                yield piece
            z = self.window.read(token[None])
        rest = characters.flush()
        if rest:
            yield rest
