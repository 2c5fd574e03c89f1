"""Write a tokenizer of ours as Hugging Face's tokenizer.json, the form of the package tokenizers: hf_tokenizer.py's way back.

    our BPE            added_tokens   its special tokens, by name and id
                       pre_tokenizer  how text is cut first: "gpt2", "smollm" or "llama3", see splitter.py
                       model          vocabulary, each byte shown as one printable character, and merges in order
    our WordPiece      normalizer, pre_tokenizer: BERT's; post_processor: [CLS] text [SEP] text [SEP]; model: the vocabulary

What is written gives the ids that ours gives, with one difference of manner: there the names of special tokens are found
in any text, here only by encode(text, special=True).

Source    tokenizers 0.23, the files that it writes.
Tested    tests/test_checkpoint_tokenizers.py; tests/peers/test_saved_tokenizers.py: equal ids on text from all of Unicode.
"""
from nanolm.text import byte_alphabet, hf_tokenizer

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
CUT = {"gpt2": BYTES,
       "smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTES]},
       "llama3": {"type": "Sequence", "pretokenizers": [
           {"type": "Split", "pattern": {"Regex": hf_tokenizer.LLAMA3}, "behavior": "Isolated", "invert": False},
           {**BYTES, "use_regex": False}]}}


def bpe(tokenizer):
    """Return the content of tokenizer.json for a BPE, a dict.

    Raises ValueError if a special token is called what an ordinary one is shown as: a dict has room for one of them.
    """
    spelled = [bytes([byte]) for byte in byte_alphabet.ORDER]
    for left, right in tokenizer.merges:
        spelled.append(spelled[left] + spelled[right])
    shown = [byte_alphabet.show(token) for token in spelled]
    ids = range(len(shown)) if tokenizer.ids is None else tokenizer.ids
    vocabulary = {token: token_id for token, token_id in zip(shown, ids) if token_id is not None}
    both = sorted(vocabulary.keys() & tokenizer.special.keys())
    if both:
        raise ValueError(f"the special token {both[0]!a} is called what an ordinary token is shown as; tokenizer.json has room "
                         f"for one of the two.")
    vocabulary = dict(sorted({**vocabulary, **tokenizer.special}.items(), key=lambda entry: entry[1]))
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocabulary,
             "merges": [f"{shown[left]} {shown[right]}" for left, right in tokenizer.merges]}
    return content(tokenizer.special, None, CUT[tokenizer.split], None, BYTES, model)


def wordpiece(tokenizer):
    """Return the content of tokenizer.json for a WordPiece, a dict."""
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                  "strip_accents": tokenizer.strip_accents, "lowercase": tokenizer.lowercase}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "max_input_chars_per_word": tokenizer.longest_word,
             "vocab": {token: token_id for token_id, token in enumerate(tokenizer.vocabulary)}}
    return content(tokenizer.special, normalizer, {"type": "BertPreTokenizer"}, frame(tokenizer.special),
                   {"type": "WordPiece", "prefix": "##", "cleanup": True}, model)


def content(special, normalizer, pre_tokenizer, post_processor, decoder, model):
    """Return the whole of a tokenizer.json, a dict in the order in which the package writes it."""
    added = [{"id": token_id, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for name, token_id in sorted(special.items(), key=lambda entry: entry[1])]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": post_processor, "decoder": decoder, "model": model}


def frame(special):
    """Return the post_processor that writes [CLS] a [SEP] b [SEP], segments 0 and 1; None without these tokens."""
    if "[CLS]" not in special or "[SEP]" not in special:
        return None

    def token(name, segment):
        return {"SpecialToken": {"id": name, "type_id": segment}}

    def text(name, segment):
        return {"Sequence": {"id": name, "type_id": segment}}

    one = [token("[CLS]", 0), text("A", 0), token("[SEP]", 0)]
    return {"type": "TemplateProcessing", "single": one, "pair": [*one, text("B", 1), token("[SEP]", 1)],
            "special_tokens": {name: {"id": name, "ids": [special[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}}
