"""What the benchmarks show for given times: every ratio, rate and share, and the pictures."""
from nanolm.bench import attention, generate, layers, limits, pictures, train
from nanolm.models import cost, gpt2

TINY = limits.Shape("tiny", 2, 16, 2, 11, 4, 8)
PNG = b"\x89PNG"
WRITER = {"prompt": 3, "tokens": 4, "beams": 2, "batch": 3,
          "config": {"vocab_size": 23, "block_size": 12, "n_layer": 1, "n_head": 2, "n_embd": 8}}


def summary(median, **more):
    return {"median": median, "low": median, "high": median, "rounds": [[median]], "values": [1], "idle": 0.0, "slept": 1.0,
            **more}


def cell(header, rows, name, column):
    """Return the cell of the row that has `name` somewhere."""
    return next(row for row in rows if name in row)[header.index(column)]


def test_the_training_table():
    found = {train.OURS: summary(0.5, peak=2e8), train.EAGER: summary(0.8, peak=4e8), train.LIMIT: summary(0.4, peak=None)}
    result = {"shape": vars(TINY), "operations": 10e9, "rounds": 1, "contestants": found, "losses_agree": False,
              "limits": {name: summary(0.3) for name in (train.LINEAR, train.READ, train.COPY)}, "left_out": {"x": "it is away."}}
    rows = train.table(result)
    assert [len(row) for row in rows] == [len(train.HEADER)] * 3
    assert cell(train.HEADER, rows, train.EAGER, "times ours") == "1.60"
    assert cell(train.HEADER, rows, train.EAGER, "of limit") == "50 %"
    assert cell(train.HEADER, rows, train.OURS, "GFLOP/s") == "20"
    assert cell(train.HEADER, rows, train.OURS, "tokens/s") == "64"
    assert cell(train.HEADER, rows, train.OURS, "peak MB") == "200"
    words = " ".join(train.notes(result))
    assert "x is left out: it is away." in words and "losses differ" in words and "300.0 ms" in words
    assert pictures.train([result, result]).startswith(PNG)


def test_the_attention_table():
    at = {"tokens": 128, "batch": 2, "operations": 4e9, "left_out": {attention.PLAIN: "no room"}, "agree": True, "contestants":
          {attention.OURS: summary(0.1, memory=3e6), attention.PEER: summary(0.25, memory=5e6), attention.LIMIT: summary(0.05)}}
    rows = attention.table({"lengths": [at]})
    assert rows[0][:3] == ["128", "2", attention.OURS] and rows[1][:2] == ["", ""]
    assert cell(attention.HEADER, rows, attention.PEER, "times ours") == "2.50"
    assert cell(attention.HEADER, rows, attention.PEER, "of limit") == "20 %"
    assert cell(attention.HEADER, rows, attention.OURS, "MB above inputs") == "3.0"
    assert attention.notes({"lengths": [at]}) == [f"T = 128: {attention.PLAIN} is left out: no room"]


def test_the_generation_table():
    settings = WRITER
    found = {f"{name}: {task}": summary(seconds) for name, seconds in ((generate.OURS, 2.0), (generate.PEER, 6.0))
             for task in generate.TASKS}
    size = generate.bytes_a_pass(settings)
    result = {"settings": settings, "contestants": found, "peaks": {generate.OURS: 1e6, generate.PEER: None}, "left_out": {},
              "bytes_a_second": 4 * size, "read_bytes": size, "read": {f"{generate.OURS}: one": summary(0.25)}, "agree": {"one": 0.5, "beam": 1.0, "batch": 1.0}}
    rows = generate.table(result)
    assert [row[0] for row in rows] == ["one sequence", "", "2 beams", "", "3 prompts", ""]
    assert [row[2] for row in rows] == ["2.0", "0.7", "2.0", "0.7", "6.0", "2.0"]       # tokens/s, all rows of a batch
    assert rows[1][generate.HEADER.index("times ours")] == "3.00"
    assert rows[0][generate.HEADER.index("of limit")] == "50 %"                         # two passes a second of four
    assert [row[generate.HEADER.index("of limit")] for row in rows[1:]] == [""] * 5   # reading was not measured beside these
    found[f"{generate.OURS}: one"]["rounds"] = [[4.0], [2.0], [4.0]]                 # the memory is slow in the first round
    result["read"][f"{generate.OURS}: one"]["rounds"] = [[0.5], [0.25], [0.25]]
    assert generate.table(result)[0][generate.HEADER.index("of limit")] == "50 %"
    assert "only 50 %" in " ".join(generate.notes(result))
    assert pictures.generate(result).startswith(PNG)


def test_the_bytes_of_a_pass_are_those_of_the_weights():
    settings = {**WRITER, "prompt": 0, "tokens": 0}
    config = gpt2.Config(**settings["config"])
    positions = config.block_size * config.n_embd
    assert generate.bytes_a_pass(settings) == 4 * (cost.total(cost.rows(config)).parameters - positions)
    assert generate.bytes_a_pass(generate.SETTINGS, int8=True) < 0.27 * generate.bytes_a_pass(generate.SETTINGS)


def test_the_layers_table_and_the_roofline():
    found = {}
    for name, seconds in ((layers.PLAIN, 0.006), (layers.OURS, 0.002), (layers.PEER, 0.003)):
        for layer in layers.cases(TINY):
            found |= {f"{layer} {way}: {name}": summary(seconds) for way in layers.ways(layer)}
    result = {"shape": vars(TINY), "contestants": found, "left_out": {}, "rates": {"products": 1e9, "memory": 1e9, "caches": 4e9}}
    rows = layers.table(result)
    assert rows[0][5:7] == ["3.00", "1.50"]
    points = {(layer, way): (x, rate) for layer, way, x, rate in layers.points(result)}
    assert points["linear", "forward"][1] == 2 * 32 * 16 * 64 / 0.002
    assert ("embedding", "forward") not in points                           # a lookup computes nothing
    assert pictures.layers(result).startswith(PNG) and pictures.roofline(result).startswith(PNG)
