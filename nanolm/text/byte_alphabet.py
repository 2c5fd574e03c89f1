"""GPT-2's byte alphabet: one printable character for each of the 256 bytes.

BPE works on bytes, but its vocabulary is kept in text files, one merge a line with a space between the parts. A space,
a newline or half a character would break such a file. So each byte gets a character that can be seen:

    a byte that Latin-1 prints        keeps its Latin-1 character         33-126, 161-172, 174-255    188 bytes
    any other byte, the n-th of them  becomes the character 256 + n       0-32, 127-160, 173           68 bytes

The space, byte 32, is the 33rd of the others (n = 32) and becomes chr(288), a G with a dot above. That is why GPT-2's
vocabulary is full of words that begin with this letter: they begin with a space. The newline, byte 10, is chr(266).

GPT-2 numbers the bytes in the order of this table, printable ones first, and so do we: "!" is id 0, "A" is 32.

    SYMBOLS (256 strs)        byte -> its character
    ORDER   (256 ints)        token id -> byte, for the first 256 token ids

Source    Radford and others 2019, GPT-2, bytes_to_unicode in encoder.py; derived anew from the two lines above.
Tested    tests/test_splitter.py.
"""
PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]     # 173 is the soft hyphen, which prints nothing
OTHERS = [byte for byte in range(256) if byte not in PRINTABLE]

SYMBOLS = [chr(256 + OTHERS.index(byte)) if byte in OTHERS else chr(byte) for byte in range(256)]
ORDER = PRINTABLE + OTHERS


def show(data):
    """Return the bytes `data` as printable characters, one a byte."""
    return "".join([SYMBOLS[byte] for byte in data])
