"""The storages' figures as a Markdown table."""


def milliseconds(seconds):
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:.0f}"


def step_cell(row):
    return (f"{milliseconds(row['forward'])} + {milliseconds(row['backward'])} "
            f"({row['faster_than_float32']:.2f}x)")


def evaluation_cell(row):
    return f"{milliseconds(row['evaluation'])} ({row['evaluation_faster_than_float32']:.2f}x)"


def table(rows):
    """Returns the table of the rows of one number of threads: a line for each side's storage, and
    one for its evaluation where that is another computation than training's forward."""
    tokens = sorted({row["tokens"] for row in rows})
    titles = [f"{count} token{'' if count == 1 else 's'}" for count in tokens]
    lines = [["side", "storage", "bytes a weight", "error", *titles],
             ["---", "---", "---:", "---:", *["---:" for _ in tokens]]]
    for side, storage in dict.fromkeys((row["side"], row["storage"]) for row in rows):
        found = {row["tokens"]: row for row in rows
                 if (row["side"], row["storage"]) == (side, storage)}
        row = found[tokens[0]]
        error = "-" if "error" not in row else f"{100 * row['error']:.2g} %"
        lines.append([side, storage, f"{row['bytes_per_weight']:.4g}", error,
                      *[step_cell(found[count]) for count in tokens]])
        if "evaluation" in row:
            lines.append([side, f"{storage}, evaluation", "", "",
                          *[evaluation_cell(found[count]) for count in tokens]])
    threads = rows[0]["threads"]
    head = f"\n{threads} thread{'' if threads == 1 else 's'}, W {rows[0]['size']} x {rows[0]['size']}:\n\n"
    return head + "\n".join(f"| {' | '.join(line)} |" for line in lines)
