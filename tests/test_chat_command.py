"""nanolm chat as it is typed, with a tiny model that knows nothing: commands, cuts, odd bytes, the end of the input."""
import pytest
from click.testing import CliRunner
from test_conversation import ends_with, loaded  # noqa: F401  a fixture

from nanolm import kernels
from nanolm.cli import chat_command
from nanolm.generation import console, conversation
from nanolm.text import chat


@pytest.fixture
def talk(loaded, monkeypatch):  # noqa: F811
    """Return a function that types lines (str or bytes) into the command; said collects what reached the model."""
    said, true = [], conversation.Conversation.say

    def say(self, text, *limits, **settings):
        said.append(text)
        return true(self, text, *limits, **settings)

    def run(typed, *options, model=None):
        said.clear()
        monkeypatch.setattr(chat_command, "load", lambda name, note: model or ends_with(loaded, 0.0))
        monkeypatch.setattr(conversation.Conversation, "say", say)
        monkeypatch.setattr(kernels, "use", lambda backend: None)               # what this process runs on stays as it is
        done = CliRunner().invoke(chat_command.command, ["--tokens", "6", "--temperature", "0", "--repetition-penalty", "1",
                                                               *options], input=typed)
        assert done.exception is None, done.exception
        return done, list(said)
    return run


def test_what_begins_with_a_slash_is_a_command(talk):
    done, said = talk("/help\n/quit now\n/new x\n /etc/passwd\nthe cat\n/quit\nnever\n")
    assert said == ["/etc/passwd", "the cat"]
    assert done.stderr.count("/more  goes on") == 4, "at the beginning, for /help, and for two unknown ones"
    assert "There is no command '/quit now'" in done.stderr and "There is no command '/new x'" in done.stderr
    quiet, said = talk("/helo\nthe cat\n", "--quiet")
    assert said == ["the cat"] and "There is no command '/helo'" in quiet.stderr and "helo" not in quiet.stdout


def test_a_cut_answer_is_marked_and_goes_on(talk, loaded):  # noqa: F811
    done, _ = talk("the cat\n/more\n")
    assert done.stderr.count("[cut at 6 tokens; /more goes on, --tokens allows longer answers]") == 2
    whole = conversation.Conversation(ends_with(loaded, 0.0))
    expected = "".join(whole.say("the cat", 12, temperature=0))
    assert console.printable(expected).replace("\n", "") == done.stdout.replace("\n", "")
    ended, _ = talk("the cat\n" * 3 + "/more\n", "--tokens", "60", model=ends_with(loaded, 25.0))
    assert "cut at" not in ended.stderr and "there is no answer that was cut" in ended.stderr


def test_new_begins_anew(talk):
    done, _ = talk("the cat\n/new\nthe cat\n", "--system", "")
    first, second = (line for line in done.stderr.splitlines() if " used]" in line)
    assert first.split(";")[1] == second.split(";")[1]
    answers = done.stdout
    assert answers[:len(answers) // 2] == answers[len(answers) // 2:]


@pytest.mark.parametrize("typed, said", [(b"caf\xe9 the cat\n", ["caf\ufffd the cat"]), ("caf\u00e9\n".encode(), ["caf\u00e9"]),
                                         (b"the cat", ["the cat"]), (b"the\r\n\r\n\n \n", ["the"]), (b"", [])])
def test_odd_bytes_and_the_end_of_the_input(talk, typed, said):
    done, reached = talk(typed)
    assert reached == said and "\\udc" not in done.output
    assert done.stdout.count("\n") >= len(said)


def test_a_system_message_with_a_byte_that_is_no_text():
    assert chat_command.readable("caf\udce9 \U0001f600") == "caf\ufffd \U0001f600"


def test_outgrowing_the_context_is_said_once(talk):
    done, said = talk("the cat sat on the mat\n" * 12, "--tokens", "30")
    assert len(said) == 12 and done.stderr.count("The conversation has outgrown the 300 tokens") == 1
    long, _ = talk("the cat sat " * 200 + "\nthe mat\n")
    assert "Say it in parts" in long.stderr and long.stderr.count(" used]") == 1


def test_ctrl_c_ends_an_answer_and_the_conversation_goes_on(talk, loaded, monkeypatch):  # noqa: F811
    true, written = console.write, []

    def write(text, stream=None):
        written.append(text)
        if len(written) == 3:
            raise KeyboardInterrupt
        true(text, stream)

    monkeypatch.setattr(console, "write", write)
    done, said = talk("the cat\nthe mat\n", "--tokens", "30")
    assert said == ["the cat", "the mat"] and done.stderr.count(" used]") == 2 and done.stderr.count("[cut at") == 1
    by_hand = conversation.Conversation(ends_with(loaded, 0.0))
    pieces = by_hand.say("the cat", 30, temperature=0)
    for _ in range(3):
        next(pieces)
    pieces.close()
    assert done.stdout.endswith(console.printable("".join(by_hand.say("the mat", 30, temperature=0))) + "\n")


def test_the_seed_makes_it_the_same(talk):
    settings = ("--temperature", "1.5", "--top-p", "1", "--tokens", "20")
    first, second, third = (talk("the cat\n", *settings, "--seed", seed)[0].stdout for seed in "112")
    assert first == second != third


def test_a_run_of_nanolm_train_is_for_generate(tmp_path):
    for name in ("settings.json", "tokenizer.json", "config.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match="is a run of nanolm train.*nanolm generate"):
        chat_command.load(str(tmp_path), print)


def test_ids_of_the_end_are_never_shown(talk, loaded):  # noqa: F811
    done, _ = talk("the cat\n" * 3, "--tokens", "40", model=ends_with(loaded, 25.0))
    assert chat.END not in done.stdout and done.stderr.count(" used]") == 3
