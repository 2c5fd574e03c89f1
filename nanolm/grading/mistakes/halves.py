"""What a block's halves have in common on the way back, and the mistakes that can be made in each of them.

    pre-norm      x = x + drop(branch(norm(x)))          branch: attention, cross-attention or MLP
    post-norm     x = norm(x + drop(branch(x)))

block, decoder_block and llama_block are two or three such halves. The switches of one half are the keyword arguments of
`half`; a derivation takes them with the half's name in front, mlp_fork="no skip", and hands them on.
"""
from nanolm.layers import dropout


def half(dy, norm, norm_layer, c_norm, branch, c_branch, c_drop=None, fork="sum", ln="kept", drop="before", branch_gets=None):
    """Return dx, the norm's gradients, memory's gradient (None without one) and the branch's gradients."""
    def dropped(d, where):
        return dropout.backward(d, c_drop) if c_drop is not None and drop == where else d

    dsum = dy
    if norm == "post":
        through, *dnorm = norm_layer.backward(dy, c_norm)
        dsum = through if ln == "kept" else dy
    da = dropped(dsum if branch_gets is None else branch_gets, "before")
    dbranch_x, *dmemory, dbranch = branch.backward(da, c_branch)
    if norm == "pre":
        through, *dnorm = norm_layer.backward(dbranch_x, c_norm)
        dbranch_x = through if ln == "kept" else dbranch_x
    dbranch_x = dropped(dbranch_x, "after")
    dx = {"sum": lambda: dsum + dbranch_x, "no skip": lambda: dbranch_x, "no branch": lambda: dsum + 0 * dbranch_x,
          "average": lambda: (dsum + dbranch_x) / 2, "minus": lambda: dsum - dbranch_x,
          "skip twice": lambda: 2 * dsum + dbranch_x, "branch twice": lambda: dsum + 2 * dbranch_x,
          "dropped skip": lambda: da + dbranch_x, "past the norm": lambda: dy + dbranch_x}[fork]()
    return dx, dnorm, (dmemory or [None])[0], dbranch


def ways_of(ways, name):
    """Return the switches of one half: {"mlp_fork": "average"} of "mlp" is {"fork": "average"}."""
    return {key.removeprefix(f"{name}_"): way for key, way in ways.items() if key.startswith(f"{name}_")}


def of_half(name, layer, into, result, dropout=True, post=True):
    """Return {mistake: (sentence, switches)} of one half.

    name: the switches' prefix; layer: the branch in words, "the MLP"; into: where x goes besides the +, "ln_2, or into the
    MLP in post-norm"; result: the sum's line in forward, "x = x + m".
    """
    fork = f"{name}_fork"
    found = {
        f"{name}_skip_forgotten": (
            f"The way past {layer} is missing. In {result} x went two ways: into the +, and into {into}. Its gradient is the sum "
            f"of both, and what came through the + is forgotten: the gradient that arrived there belongs to it unchanged.",
            {fork: "no skip"}),
        f"{name}_branch_forgotten": (
            f"The way through {layer} is missing in x's gradient. In {result} x went two ways: into the +, and into {into}. What "
            f"comes back out of {layer} must be added to what came through the +, not thrown away.", {fork: "no branch"}),
        f"{name}_fork_averaged": (
            f"At the fork before {layer} the two gradients are averaged. Both ways count in full: a value that is used twice "
            f"gets the sum of its gradients, without a half.", {fork: "average"}),
        f"{name}_skip_twice": (
            f"The gradient that passes {layer} is added twice. {result} uses x once in the + and once in the branch.",
            {fork: "skip twice"}),
        f"{name}_branch_twice": (
            f"The gradient that comes out of {layer} is added twice. {result} uses the branch once.", {fork: "branch twice"}),
        f"{name}_fork_minus": (
            f"At the fork before {layer} the branch's gradient is subtracted. In {result} stands a plus, so both gradients are "
            f"added.",
            {fork: "minus"}),
        f"{name}_norm_skipped": (
            f"x's gradient does not go through the norm that belongs to {layer}: the norm's backward returns dx first, and that "
            f"dx, not what went into the norm's backward, goes on.", {f"{name}_ln": "skipped"}),
    }
    if post:
        found[f"{name}_skip_past_the_norm"] = (
            f"In post-norm the norm stands after the +, so what arrives at the + has been through the norm's backward already. "
            f"For {layer} the skip adds the gradient from above the norm instead: add dsum, what the norm's backward returned.",
            {fork: "past the norm"})
    if dropout:
        found |= {
            f"{name}_dropout_forgotten": (
                f"The dropout after {layer} is forgotten on the way back. What was dropped in forward must get no gradient, and "
                f"the rest is divided by 1 - rate: dropout.backward with its own cache, before {layer}'s backward (D2).",
                {f"{name}_drop": "none"}),
            f"{name}_dropout_on_the_skip": (
                f"The dropout after {layer} is applied to the skip as well. It dropped the branch's answer only; x itself passed "
                f"the + whole, so the skip takes the gradient from before dropout.backward.", {fork: "dropped skip"}),
            f"{name}_dropout_too_late": (
                f"The dropout after {layer} is undone in the wrong place. In forward it comes after {layer}, so in backward it "
                f"comes before {layer}'s backward, not after it: last in, first out.", {f"{name}_drop": "after"})}
    return found


def run(x, norm, normed, branch, dropped, way="right", reads=None, adds=None):
    """Return x after one half in forward. reads, adds: what goes into the branch and into the +, if not x."""
    reads, adds = x if reads is None else reads, x if adds is None else adds
    h = normed(reads) if norm == "pre" and way not in ("no norm", "norms the branch") else reads
    out = branch(h)
    if way == "drops the sum":
        total = dropped(adds + out)
    else:
        out = dropped(normed(out) if way == "norms the branch" and norm == "pre" else out)
        out = normed(out) if way == "norms the branch" and norm == "post" else out
        total = out if way == "no skip" else h + out if way == "adds the normed" else adds + out
    return normed(total) if norm == "post" and way not in ("no norm", "norms the branch") else total


def of_run(name, layer, line, dropout=True):
    """Return {mistake: (sentence, switches)} of one half in forward. line: how it reads in the formula, "x = x + a"."""
    way = f"{name}_way"
    found = {
        f"{name}_skip_forgotten": (f"The skip past {layer} is missing: the answer of the branch is added to x, it does not "
                                   f"replace it.",
                                   {way: "no skip"}),
        f"{name}_norm_skipped": (f"The norm that belongs to {layer} is missing: pre-norm norms what goes into the branch, "
                                 f"post-norm the sum of x and the branch's answer.", {way: "no norm"}),
        f"{name}_adds_the_normed": (f"In pre-norm the normed x is kept for the + around {layer}. The + takes x itself, as it "
                                    f"came: only the branch sees the normed one.", {way: "adds the normed"}),
        f"{name}_norm_on_the_branch": (f"The norm is on the answer of {layer} alone. Pre-norm norms what goes in, post-norm "
                                       f"norms the sum of x and the answer.", {way: "norms the branch"})}
    if dropout:
        found[f"{name}_drops_the_sum"] = (f"Dropout falls on the sum {line}. It belongs on the branch's answer alone, before the "
                                          f"+: x itself passes whole.", {way: "drops the sum"})
    return found
