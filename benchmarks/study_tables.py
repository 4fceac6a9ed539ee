"""Tables, plots and pictures of the study, of the rows of its jobs."""
import itertools
import math
import statistics

from intervals import cell, interval
from mini_world import BIN, run
from protocol_report import to_markdown, write_csv
from study_settings import MOST_PHOTOS, PER_PROMPT, PROMPTS_SHOWN, job_folder

# What the job's judge says of the subject's pictures, and of the class.
JUDGED = {"dino": "DINO", "dino_photos": "DINO, photos", "clip_i": "CLIP-I", "clip_i_photos": "CLIP-I, photos", "clip_t": "CLIP-T",
          "pres": "PRES", "pres_before": "PRES before", "div": "DIV", "copied_images": "copied"}

# Plans whose settings are told beside their first, by what they cost: (column, its name in words).
PRICES = {"sizes": ("kilobytes", "kilobytes of a subject"), "lengths": ("training seconds", "seconds of training")}
WANTED_SHARE = .97
COMPARED = ("methods", *PRICES)  # what is measured is told beside the first setting's, by subject and seed
DIFFERENCES = {"accessory": "accessory", "dino": "DINO", "clip_i": "CLIP-I", "clip_t": "CLIP-T", "pres": "PRES", "div": "DIV"}


def write_all(plan, rows, settings, folder, out):
    write_tables(plan, rows, folder)
    write_page(rows, settings, folder, out)
    if plan == "rates":
        write_heat_map(rows, folder)
    if plan == "steps":
        write_overfitting(rows, folder)
    if plan in PRICES:
        write_price(rows, *PRICES[plan], folder)


def beside_first(rows):
    """Each row with what lies between it and the first setting's with its subject and seed: `share`, of the identity, and differences."""
    first = {(row["subject"], row["seed"]): row for row in rows if row["setting"] == rows[0]["setting"]}
    return [row | {"share": row["identity"] / other["identity"]}
            | {f"{key} difference": row[key] - other[key] for key in DIFFERENCES if key in row and key in other}
            for row in rows for other in [first[row["subject"], row["seed"]]]]


def grouped(rows):
    return {name: [row for row in rows if row["setting"] == name] for name in dict.fromkeys(row["setting"] for row in rows)}


def write_tables(plan, rows, folder):
    write_csv(rows, folder / "table.csv")
    # Times tell more of the machine's other work than of the setting, except between methods that ran side by side.
    untold = {"setting", "subject", "seed", "seconds", *JUDGED}
    untold |= set() if plan in COMPARED else {"training seconds", "kilobytes"}
    there = list(dict.fromkeys(itertools.chain.from_iterable(rows)))

    def table(settings, columns, digits):
        return ["setting", "jobs", *columns.values()], [
            [name, str(len(mine)), *(cell(mine, key, digits(key)) for key in columns)] for name, mine in settings.items()]

    settings = grouped(rows)
    shown = {"By the world's own labels": table(settings, {key: key for key in there if key not in untold},
                                                lambda key: 3 if key == "held-out loss" else 2)}
    measured = {key: name for key, name in JUDGED.items() if key in there}
    if measured:
        shown["By the paper's measures"] = table(settings, measured, lambda key: 3)
    if plan in COMPARED:
        others = {name: mine for name, mine in grouped(beside_first(rows)).items() if name != rows[0]["setting"]}
        columns = {"share": "identity ratio"} | {f"{key} difference": f"{name} difference"
                                                 for key, name in DIFFERENCES.items() if key in there}
        shown[f"Compared with {rows[0]['setting']}, by subject and seed"] = table(others, columns, lambda key: 3)
    (folder / "table.md").write_text(to_markdown(shown))
    print(to_markdown(shown))


def write_svg(file, width, height, parts):
    file.write_text(f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' font-family='sans-serif' "
                    "font-size='15'><rect width='100%' height='100%' fill='white'/>" + "".join(parts) + "</svg>\n")


def write_heat_map(rows, folder):
    """Identity times scene for each learning rate and number of steps, of the plan `rates`."""
    mean = {}
    for setting in dict.fromkeys(row["setting"] for row in rows):
        mine = [row["identity"] * row["scene"] for row in rows if row["setting"] == setting]
        mean[tuple(map(float, setting.split(" x ")))] = statistics.fmean(mine)
    rates, steps = (sorted({key[i] for key in mean}) for i in (0, 1))
    low, high = min(mean.values()), max(mean.values())
    tile = "<rect x='{x}' y='{y}' width='96' height='56' fill='hsl({hue:.0f},60%,62%)'/>" \
           "<text x='{tx}' y='{ty}' text-anchor='middle'>{value:.2f}</text>"
    label = "<text x='{}' y='{}' text-anchor='{}'>{}</text>"
    parts = [label.format(20, 28, "start", "Identity x scene; rate down, steps across")]
    for row, rate in enumerate(rates):
        parts.append(label.format(84, 108 + 60 * row, "end", f"{rate:g}"))
        for column, count in enumerate(steps):
            x, y, value = 96 + 100 * column, 74 + 60 * row, mean[rate, count]
            parts.append(tile.format(x=x, y=y, tx=x + 48, ty=y + 34, hue=20 + 110 * (value - low) / (high - low), value=value))
    parts += [label.format(144 + 100 * column, 60, "middle", f"{count:g}") for column, count in enumerate(steps)]
    write_svg(folder / "heat-map.svg", 110 + 100 * len(steps), 90 + 60 * len(rates), parts)


def write_overfitting(rows, folder):
    """Identity, scenes, accessories and held-out loss against steps, of the plan `steps`, one below the other; where the loss
    is least stands a line."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    curves = {key: [statistics.fmean(row[key] for row in rows if row["setting"] == setting) for setting in settings]
              for key in ("identity", "scene", "accessory", "held-out loss")}
    least = curves["held-out loss"].index(min(curves["held-out loss"]))
    x = [150 + 120 * i for i in range(len(settings))]
    line = "<polyline points='{}' fill='none' stroke='{}' stroke-width='3'/>"
    label = "<text x='{}' y='{:.0f}' text-anchor='{}' fill='{}'>{}</text>"
    parts = [f"<line x1='{x[least]}' x2='{x[least]}' y1='46' y2='420' stroke='#999' stroke-dasharray='4 4'/>",
             label.format(x[least] + 6, 58, "start", "#666", "least held-out loss"),
             label.format(20, 28, "start", "black", "Steps: the subject, what was asked for, and the loss on held-out photos")]
    for strip, ((key, values), colour) in enumerate(zip(curves.items(), ("#1565c0", "#2e7d32", "#6a1b9a", "#c62828"))):
        low, high = (0.5, 1.05) if key != "held-out loss" else (0, 1.1 * max(values))
        bottom = 145 + 90 * strip
        points = [(x[i], bottom - 60 * (value - low) / (high - low)) for i, value in enumerate(values)]
        parts.append(line.format(" ".join(f"{px},{py:.0f}" for px, py in points), colour))
        parts += [label.format(px, py - 8, "middle", colour, f"{value:.2f}" if low else f"{value:.3f}")
                  for (px, py), value in zip(points, values)]
        parts.append(label.format(20, bottom - 24, "start", colour, key))
    parts += [label.format(x[i], 440, "middle", "black", setting) for i, setting in enumerate(settings)]
    write_svg(folder / "overfitting.svg", x[-1] + 70, 460, parts)


def write_price(rows, column, name, folder):
    """What is kept of the first setting's identity against what a setting costs."""
    rows = beside_first(rows)
    points = [(setting, statistics.fmean(row[column] for row in mine), interval(mine, "share"))
              for setting, mine in grouped(rows).items()]
    low, high = (f([math.log10(cost) for _, cost, _ in points]) for f in (min, max))
    bottom = math.floor(10 * min(.8, *(least for *_, (_, least, _) in points))) / 10
    x = lambda cost: 70 + 560 * (math.log10(cost) - low) / (high - low)
    y = lambda share: 60 + 340 * (1.1 - share) / (1.1 - bottom)
    label = "<text x='{:.0f}' y='{:.0f}' text-anchor='{}' fill='{}' font-size='{}'>{}</text>"
    parts = [label.format(20, 28, "start", "black", 15, f"What is kept of the identity, against {name}"),
             f"<line x1='60' x2='690' y1='{y(WANTED_SHARE):.0f}' y2='{y(WANTED_SHARE):.0f}' stroke='#999' stroke-dasharray='4 4'/>",
             label.format(690, y(WANTED_SHARE) - 5, "end", "#666", 12, f"{WANTED_SHARE:g}")]
    parts += [label.format(50, y(tick / 10) + 5, "end", "#444", 12, f"{tick / 10:.1f}") for tick in range(round(bottom * 10), 11)]
    for i, (setting, cost, (mean, least, most)) in enumerate(sorted(points, key=lambda point: point[1])):
        colour = "#1565c0" if setting.startswith("DreamBooth") else "#c62828"
        parts += [f"<line x1='{x(cost):.0f}' x2='{x(cost):.0f}' y1='{y(least):.0f}' y2='{y(most):.0f}' stroke='{colour}'/>",
                  f"<circle cx='{x(cost):.0f}' cy='{y(mean):.0f}' r='5' fill='{colour}'/>",
                  label.format(x(cost), 430 + 16 * (i % 4), "start" if x(cost) < 350 else "end", colour, 11, f"{setting}: {cost:.0f}")]
    write_svg(folder / "price.svg", 720, 490, parts)


def write_page(rows, settings, folder, out):
    """The photos of each subject, and under them, for each setting, a picture of each prompt, then three of "a dog"; the
    first seed."""
    sheet = []
    for name in dict.fromkeys(row["subject"] for row in rows):
        photos = out / "subjects" / name / f"{MOST_PHOTOS}-photos"
        sheet.append(f"{name}, its photos=" + ",".join(map(str, sorted(photos.iterdir()))))
        for row in rows:
            if row["subject"] == name and row["seed"] == 0:
                samples = sorted((job_folder(out, settings[row["setting"]], name, 0) / "samples").glob("*.png"))
                sheet.append(f"{row['setting']}=" + ",".join(map(str, samples[:PER_PROMPT * PROMPTS_SHOWN:PER_PROMPT])))
    run(BIN / "likeness-worker", "contact-sheet", "--out", folder / "page.png", "--tile", 96,
        *itertools.chain.from_iterable(("--row", row) for row in sheet))
