"""Tokenizers: text to token ids and back again, without loss.

    characters   one token a character                                         small vocabulary, long sequences
    bpe          GPT-2's byte-level byte-pair encoding, trained here or read   large vocabulary, short sequences
    wordpiece    BERT's: words in pieces, cased or not, trained here or read   loses case, accents and spaces; see there

All kinds are used in the same way:

    tokenizer = text.train("bpe", corpus, vocab_size=1024)       or  Characters.train(corpus), BPE.train(corpus, 1024)
    ids = tokenizer.encode("Any text.")                          1-D NumPy array of int32, each in 0 ... vocab_size - 1
    tokenizer.decode(ids)                                        "Any text.", for every str without exception (see wordpiece)
    tokenizer.token_bytes(ids[0])                                the bytes one token stands for, to print as it comes
    tokenizer.save(folder);  text.load(folder)                   through the file tokenizer.json

A tokenizer is a class, where a layer is two functions, because it has a state: its vocabulary. The state never changes
once it is made.

Read utf8.py and characters.py, then bpe.py, which says in which order to read the rest. For BERT read bert_normal.py and
wordpiece.py. hf_tokenizer.py reads the tokenizers of published models, hf_writing.py writes ours in their
form, and chat.py writes conversations for them.
"""
from nanolm.text import store
from nanolm.text.bpe import BPE
from nanolm.text.characters import Characters
from nanolm.text.wordpiece import WordPiece

KINDS = ("characters", "bpe", "wordpiece")


def train(kind, text, vocab_size=None, progress=None):
    """Return a tokenizer of `kind`, "characters", "bpe" or "wordpiece" (uncased), trained on the str `text`.

    vocab_size is needed but for "characters", whose size comes from the text.
    progress(done, total), if given, is called while the other two train. Raises ValueError for an unknown kind or a wrong size.
    """
    if kind == "characters":
        if vocab_size is not None:
            raise ValueError(f"vocab_size came as {vocab_size!r}, but a character tokenizer has one token for each "
                             f"character of its text. Leave vocab_size out, or train a 'bpe' tokenizer.")
        return Characters.train(text)
    if kind in ("bpe", "wordpiece"):
        if vocab_size is None:
            raise ValueError(f"a {kind!r} tokenizer needs a vocab_size, for example 1024: how many tokens to end up with.")
        return (BPE if kind == "bpe" else WordPiece).train(text, vocab_size, progress=progress)
    raise ValueError(f"there is no kind of tokenizer called {kind!r}. Choose one of: {', '.join(KINDS)}.")


def load(folder):
    """Return the tokenizer that `save` wrote to folder/tokenizer.json, whatever its kind.

    Raises FileNotFoundError if there is none, ValueError with a sentence naming the file if it is damaged or foreign.
    """
    kind = store.read(folder)["type"]
    if kind == "characters":
        return Characters.load(folder)
    if kind == "bpe":
        return BPE.load(folder)
    if kind == "wordpiece":
        return WordPiece.load(folder)
    raise ValueError(f"{store.path(folder)} holds a tokenizer of type {kind!r}, which this version of nanolm does not "
                     f"know. It knows: {', '.join(KINDS)}.")
