"""From times to the figures of the table."""

import pathlib


def last_cache_bytes():
    """Returns the size of the processor's last cache, or 64 MiB where it is not known."""
    sizes = []
    for file in pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = file.read_text(encoding="ascii").strip()
        sizes.append(int(text[:-1]) * {"K": 2**10, "M": 2**20}[text[-1]])
    return max(sizes, default=2**26)


def floor_seconds(case, limits, cache=None):
    """Returns the least time in which this machine could do a case: all of its operations at the
    peak, or its weights moved at the memory's speed where they are larger than the last cache. What
    is changed in place moves faster than what is only read: writing takes no waiting."""
    compute = case.flops / limits["fma_flops"]
    in_place = case.operation in ("merge", "adamw")
    moving = case.bytes / limits["read_write_bytes" if in_place else "read_bytes"]
    in_cache = case.width and 4 * case.width**2 <= (cache or last_cache_bytes())
    return compute if in_cache else max(compute, moving)


def fastest(row, side, operation, variant=None):
    """Returns the entry of a side that took least time for an operation; None for none."""
    entries = [entry for entry in row["times"]
               if entry["side"] == side and entry["operation"] == operation
               and variant in (None, entry["variant"])]
    return min(entries, key=lambda entry: entry["seconds"], default=None)


def add_figures(row, case, limits):
    """Adds to a row what the table shows: of each side its fastest variant."""
    ours = fastest(row, "lora", case.operation)
    seconds = ours["seconds"]
    figures = {"seconds": seconds, "variant": ours["variant"]}
    for side in ("peft", "libtorch"):
        peer = fastest(row, side, case.operation)
        if peer:
            figures[f"{side}_seconds"] = peer["seconds"]
            figures[f"{side}_variant"] = peer["variant"]
            figures[f"faster_than_{side}"] = peer["seconds"] / seconds
    floor = floor_seconds(case, limits)
    figures["of_limit"] = floor / seconds
    if "peft_seconds" in figures:
        figures["most_faster_than_peft"] = figures["peft_seconds"] / floor
    if case.beside:
        beside = fastest(row, "lora", case.beside, ours["variant"])
        figures[f"over_{case.beside}"] = seconds / beside["seconds"]
    figures["of_fma_peak"] = case.flops / seconds / limits["fma_flops"]
    figures["of_read_bandwidth"] = case.bytes / seconds / limits["read_bytes"]
    figures["of_read_write_bandwidth"] = case.bytes / seconds / limits["read_write_bytes"]
    row["figures"] = figures
    row["targets"] = [{"target": str(target), "value": figures[target.quantity],
                       "met": target.met(figures[target.quantity])} for target in case.targets]
    if case.any_target:
        row["targets"].append({
            "target": " or ".join(map(str, case.any_target)),
            "value": max(figures[target.quantity] for target in case.any_target),
            "met": any(target.met(figures[target.quantity]) for target in case.any_target)})
    return row


def milliseconds(seconds):
    return f"{1e3 * seconds:.4g}"


def table(rows):
    """Returns the table as text."""
    lines = [("case", "thr", "ours ms", "PEFT ms", "ratio", "at most", "libtorch ms", "ratio",
              "over own", "FMA", "read", "targets")]
    for row in rows:
        figures = row["figures"]

        def peer(side):
            if f"{side}_seconds" not in figures:
                return "-", "-"
            return (f"{milliseconds(figures[f'{side}_seconds'])} {figures[f'{side}_variant']}",
                    f"{figures[f'faster_than_{side}']:.2f}x")

        over = [value for key, value in figures.items() if key.startswith("over_")]
        share = lambda value: f"{100 * value:.0f}%" if value else "-"
        targets = "; ".join(
            f"{'met' if each['met'] else 'MISSED'} {each['target']}" for each in row["targets"])
        lines.append((
            row["case"], str(row["threads"]),
            f"{milliseconds(figures['seconds'])} {figures['variant']}", *peer("peft"),
            f"{figures['most_faster_than_peft']:.2f}x", *peer("libtorch"), f"{over[0]:.3f}" if over else "-", share(figures["of_fma_peak"]),
            share(figures["of_read_bandwidth"]), targets))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)


def memory_table(rows):
    lines = [("peak memory of a training step", "thr", "side", "peak MiB", "before the case MiB")]
    for row in rows:
        lines.append((row["case"], str(row["threads"]), f"{row['side']} {row['variant']}",
                      f"{row['peak_mib']:.0f}", f"{row['start_mib']:.0f}"))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)
