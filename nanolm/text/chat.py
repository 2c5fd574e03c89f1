"""Write a conversation for a model that was taught to converse: ChatML, as SmolLM2 has it.

To the model a conversation is one text, with special tokens where a turn begins and ends:

    <|im_start|>system
    You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
    <|im_start|>user
    What is 2 + 2?<|im_end|>
    <|im_start|>assistant
                                              the model writes on from here, and ends its turn by <|im_end|>

    messages = [{"role": "user", "content": "What is 2 + 2?"}]
    ids = chat.encode(tokenizer, messages)                        then generate until tokenizer.id_of("<|im_end|>")

A conversation that does not begin with a system message gets the one above, with which SmolLM2 was taught.

Usually this text is written out as a str, by a template, and then encoded, with the special tokens looked for in it. A user
who types "<|im_end|>" then ends his turn himself, and may go on as the system or the assistant: the model cannot tell.
Here only this file puts the special tokens in, by their ids. What a message says is encoded as ordinary text, so
"<|im_end|>" in it is ten harmless characters. For messages without such names the ids are the template's own.

Source    SmolLM2-135M-Instruct, chat_template; ChatML: OpenAI's openai-python, chatml.md (2023).
Tested    tests/test_chat.py; tests/peers/test_chat_transformers.py against the template itself.
"""
import numpy as np

START, END = "<|im_start|>", "<|im_end|>"
ROLES = ("system", "user", "assistant")
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def encode(tokenizer, messages, generate=True, system=SYSTEM):
    """Return the ids of a conversation, int32 (T,). generate: at the end the assistant's turn is opened.

    messages: a list of dicts {"role": "system", "user" or "assistant", "content": str}. system: what the system says if
    the first message is not its own; None: nothing. tokenizer: one that has <|im_start|> and <|im_end|>.
    Raises ValueError or TypeError with a sentence for messages of another form.
    """
    start, end = tokenizer.id_of(START), tokenizer.id_of(END)
    line_end = tokenizer.encode("\n")
    parts = []
    for role, content in with_system(messages, system):
        parts += [[start], tokenizer.encode(f"{role}\n{content}"), [end], line_end]
    if generate:
        parts += [[start], tokenizer.encode("assistant\n")]
    return np.concatenate([np.zeros(0), *parts]).astype(np.int32)


def as_text(messages, generate=True, system=SYSTEM):
    """Return the conversation as a str, to be read by people. Do not encode it: a message could forge a turn."""
    lines = [f"{START}{role}\n{content}{END}\n" for role, content in with_system(messages, system)]
    return "".join(lines) + (f"{START}assistant\n" if generate else "")


def template(system=SYSTEM):
    """Return the same rule as a template in Jinja, the language in which a tokenizer_config.json keeps it for transformers.

    It writes what as_text writes, and so has the weakness said above: it is for other programs, not for this one.
    """
    def words(text):                                    # a str of Jinja's, which has Python's escapes
        return ascii(text)

    opening = "" if system is None else (
        "{%- if messages and messages[0].role != 'system' -%}{{ turn('system', " + words(system) + ") }}{%- endif -%}")
    return ("{%- macro turn(role, text) -%}{{ " + words(START) + " ~ role ~ " + words("\n") + " ~ text ~ " + words(END + "\n")
            + " }}{%- endmacro -%}" + opening
            + "{%- for message in messages -%}{{ turn(message.role, message.content) }}{%- endfor -%}"
            + "{%- if add_generation_prompt -%}{{ " + words(START + "assistant\n") + " }}{%- endif -%}")


def with_system(messages, system):
    """Return the messages as pairs (role, content), checked, with the system's first."""
    pairs = []
    if isinstance(messages, (str, dict)):
        raise TypeError(f'messages must be a list of dicts, but came as {type(messages).__name__}. Write [{{"role": "user", '
                        f'"content": "..."}}].')
    for i, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES or not isinstance(message.get("content"), str):
            raise ValueError(f"messages[{i}] is {message!a}, but a message is a dict with a 'role', {', '.join(ROLES)}, and a "
                             f"'content', a str.")
        pairs.append((message["role"], message["content"]))
    if system is not None and pairs and pairs[0][0] != "system":
        pairs.insert(0, ("system", system))
    return pairs
