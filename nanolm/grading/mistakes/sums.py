"""The gradient of a parameter that every token uses: a sum over the tokens, and the ways to take it wrongly."""


def summed(a, over="tokens"):
    """Return a (..., C) summed over all axes but the last; over: "tokens" the right way, any other a mistake."""
    rows = a.reshape(-1, a.shape[-1])
    if over == "tokens":
        return rows.sum(axis=0)
    if over == "average":
        return rows.mean(axis=0)
    if over == "last":
        return rows[-1]
    if over == "nothing":
        return a
    return a.sum(axis={"first axis": 0, "two axes": (0, 1), "channels": -1}[over])
