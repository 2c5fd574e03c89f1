"""A model's own ids for the tokens of a BPE: which id stands for which bytes.

bpe.py numbers its tokens: the 256 bytes, then the merges. A published model may number them otherwise; SmolLM2 does so:

    id      0 ...    16    17 special tokens, <|endoftext|> first
    id     17 ...   251    235 bytes; 21 of the 256 have no token, for they occur in no text it was trained on
    id    252 ... 49151    48,900 merges

`ids` is the table from our numbers to the model's: 256 + M entries, None for a byte without a token. Llama 3 lists
several merges for one token, one for each way to cut it in two; these have the same entry.

Tested    tests/test_hf_tokenizer.py, tests/peers/test_bpe_tokenizers.py.
"""
from nanolm.text import special_names


def tokens(spelled, ids, special):
    """Return the bytes of each token by the model's ids, a list, from our numbers' bytes `spelled` and the table `ids`.

    special: dict name -> id. Raises TypeError or ValueError with a sentence if ids are missing, doubled or not integers.
    """
    if not isinstance(special, dict):
        raise TypeError(f"special came as {type(special).__name__}, but with a table of ids it must be a dict from each "
                        f"name to its id.")
    if len(ids) != len(spelled):
        raise ValueError(f"ids has {len(ids)} entries, but there are 256 bytes and {len(spelled) - 256} merges. Give "
                         f"one for each, None for a byte that has no token.")
    table = {}
    names = [(name.encode("utf-8"), token_id) for name, token_id in special_names.checked(special).items()]
    for number, (token, token_id) in enumerate([*zip(spelled, ids), *names]):
        if token_id is None and number < 256:
            continue
        if type(token_id) is not int:
            raise TypeError(f"the id of the token {token!r} must be an integer, but came as {token_id!r}.")
        if number >= len(spelled) and token_id in table or table.setdefault(token_id, token) != token:
            raise ValueError(f"the tokens {table[token_id]!r} and {token!r} have the same id, {token_id}.")
    spellings = {}
    for token_id in range(len(table)):
        if token_id not in table:
            raise ValueError(f"no token has the id {token_id}, but there are {len(table)} tokens; ids must run from 0 to "
                             f"{len(table) - 1}.")
    for token, token_id in zip(spelled, ids):
        if token_id is not None and spellings.setdefault(token, token_id) != token_id:
            raise ValueError(f"two merges make the same token, {token!r}, but its ids differ: {spellings[token]}, "
                             f"{token_id}.")
    return [table[token_id] for token_id in range(len(table))]
