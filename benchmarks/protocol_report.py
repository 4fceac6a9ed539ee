"""Tables of the protocol: Markdown, CSV, and one page of HTML with pictures."""
import base64
import csv
import html
import json

from intervals import cell

TABLES = {
    "Subject and prompt fidelity": {
        "rows": ["real", "dreambooth", "dreambooth-best", "lora", "pivotal_tuning", "custom_diffusion", "svdiff", "hypernetwork",
                 "textual_inversion"],
        "columns": {"dino": "DINO ↑", "clip_i": "CLIP-I ↑", "clip_t": "CLIP-T ↑", "identity": "identity ↑", "scene": "scene ↑"}},
    "Prior preservation": {
        "rows": ["base", "dreambooth", "dreambooth-without-prior"],
        "columns": {"pres": "PRES ↓", "div": "DIV ↑", "spread": "spread ↑"}},
    "Class noun": {
        "rows": ["noun-right", "noun-wrong", "noun-none"],
        "columns": {"dino": "DINO ↑", "clip_i": "CLIP-I ↑", "identity": "identity ↑"}},
}
NAMES = {"real": "real photos", "base": "before training", "dreambooth": "DreamBooth", "dreambooth-best": "DreamBooth, best checkpoint",
         "dreambooth-without-prior": "DreamBooth without prior", "lora": "LoRA", "textual_inversion": "Textual Inversion",
         "hypernetwork": "hypernetwork", "pivotal_tuning": "pivotal tuning", "custom_diffusion": "Custom Diffusion", "svdiff": "SVDiff",
         "noun-right": "right noun", "noun-wrong": "wrong noun", "noun-none": "no noun"}


def with_references(rows):
    """Rows for real photos and for the base model, from what every job measured of them."""
    added = []
    for row in rows:
        added.append({"method": "real", "subject": row["subject"], "seed": row["seed"],
                      **{key: row[f"{key}_photos"] for key in ("dino", "clip_i") if f"{key}_photos" in row}})
        if "pres_before" in row:
            added.append({"method": "base", "subject": row["subject"], "seed": row["seed"], "pres": row["pres_before"]})
    return rows + added


def tables(rows):
    """{title: (column names, [[row name, jobs, cell...]])}: what there is to show."""
    rows, shown = with_references(rows), {}
    for title, plan in TABLES.items():
        own = [method for method in plan["rows"] if method not in ("real", "base")]
        if sum(any(row["method"] == method for row in rows) for method in own) < (1 if title.startswith("Subject") else 2):
            continue
        columns = {key: name for key, name in plan["columns"].items() if any(key in row for row in rows if row["method"] in own)}
        lines = []
        for method in plan["rows"]:
            mine = [row for row in rows if row["method"] == method]
            if not mine:
                continue
            lines.append([NAMES.get(method, method), str(len(mine)) if method in own else "", *(cell(mine, key) for key in columns)])
        shown[title] = (["", "jobs", *columns.values()], lines)
    return shown


def to_markdown(shown):
    parts = []
    for title, (columns, lines) in shown.items():
        parts.append(f"## {title}\n\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|\n"
                     + "".join("| " + " | ".join(line) + " |\n" for line in lines))
    return "\n".join(parts)


def write_csv(rows, file):
    keys = list(dict.fromkeys(key for row in rows for key in row if not isinstance(row[key], (list, dict))))
    with open(file, "w", newline="") as stream:
        writer = csv.DictWriter(stream, keys, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def picture(file, caption):
    kind = "jpeg" if file.suffix.lower() in (".jpg", ".jpeg") else file.suffix.lower()[1:]
    data = base64.b64encode(file.read_bytes()).decode()
    return (f"<figure><img src='data:image/{kind};base64,{data}' alt='{html.escape(caption, quote=True)}'>"
            f"<figcaption>{html.escape(caption)}</figcaption></figure>")


STYLE = """:root{color-scheme:light dark}body{margin:0 auto;max-width:72rem;padding:1rem;font:16px/1.45 system-ui,sans-serif}
.wide{overflow-x:auto}table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1rem .2rem 0;white-space:nowrap}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(7rem,1fr));gap:.5rem}figure{margin:0}img{width:100%;display:block}
figcaption{font-size:.75rem;opacity:.75;overflow-wrap:anywhere}"""


def to_html(shown, what, subjects, samples):
    """`samples`: {subject: {method: files}}."""
    parts = ["<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
             f"<title>{html.escape(what)}</title><style>{STYLE}</style></head><body><h1>{html.escape(what)}</h1>"
             "<p>Means over subjects, with 95 % intervals of a bootstrap over subjects.</p>"]
    for title, (columns, lines) in shown.items():
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
        parts.append(f"<h2>{html.escape(title)}</h2><div class='wide'><table><tr>{head}</tr>{body}</table></div>")
    parts.append("<h2>Pictures</h2>")
    for subject in subjects:
        figures = [picture(file, "photo") for file in sorted(subject.photos.iterdir())[:2] if file.suffix != ".txt"]
        for method, files in samples.get(subject.name, {}).items():
            figures += [picture(file, NAMES.get(method, method)) for file in files]
        parts.append(f"<h3>{html.escape(subject.name)}</h3><div class='pictures'>{''.join(figures)}</div>")
    return "".join(parts) + "</body></html>\n"


def write_all(rows, what, subjects, samples, folder):
    shown = tables(rows)
    (folder / "tables.md").write_text(to_markdown(shown))
    (folder / "tables.json").write_text(json.dumps(shown, indent=1))
    write_csv(rows, folder / "jobs.csv")
    (folder / "report.html").write_text(to_html(shown, what, subjects, samples))
    return to_markdown(shown)
