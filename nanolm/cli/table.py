"""Print rows as a table in plain ASCII: text to the left, numbers to the right."""


def text(header, rows, gap="  "):
    """Return the table as one string. Cells are str (left) or already formatted numbers as str (right, if they parse)."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    right = [all(_is_number(row[i]) for row in rows if row[i]) for i in range(len(header))]

    def line(cells):
        cells = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(cells, widths, right)]
        return gap.join(cells).rstrip()

    return "\n".join([line(header), gap.join("-" * w for w in widths), *map(line, rows)])


def _is_number(cell):
    return cell.replace(",", "").replace(".", "").replace("-", "").replace("%", "").replace(" ", "").isdigit()
