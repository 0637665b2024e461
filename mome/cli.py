"""The command `mome`. Each subcommand imports what it needs when it runs, so that `mome --help` answers at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mome.errors import MomeError, SettingsError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from mome.ledger import Ledger
    from mome.modeling import MoMEForCausalLM

COMMANDS = {
    "train": "teach a backbone a file of facts and write a checkpoint",
    "ask": "ask a checkpoint, and see which fact answered",
    "annotate": "read a text, and see which of its words taught facts say too, and where they say others",
    "eval": "measure recall, generality and locality of a checkpoint",
    "facts": "list, add, correct and forget the facts of a checkpoint",
    "inspect": "show what a checkpoint holds",
    "bench": "run a benchmark by name",
    "route": "train a router for a backbone, to be reused by `mome train --router`",
    "pretrain": "pretrain the embedded backbone",
    "world": "write a file of generated facts",
}
SHOWN_FAILURES = 5


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, or 2 for a wrong input."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if argv[0] == "--version":
        from mome import __version__

        print(__version__)
        return 0
    if argv[0] not in COMMANDS:
        print(f"mome: unknown command {argv[0]!r}\n\n{_overview()}", file=sys.stderr)
        return 2
    try:
        return _RUNNERS[argv[0]](argv[1:]) or 0
    except MomeError as error:
        print(f"mome {argv[0]}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nmome {argv[0]}: interrupted; `mome train` and `mome route` go on with --resume", file=sys.stderr)
        return 130


def _overview() -> str:
    lines = [
        "usage: mome COMMAND [options]",
        "",
        "Teach a frozen language model facts that it recalls exactly.",
        "",
        *(f"  {name:<15}{text}" for name, text in COMMANDS.items()),
        "",
        "`mome COMMAND --help` explains a command. A first try, without a network or facts of your own:",
        "",
        "  mome world --exposures 0 --limit 1000 --out facts.jsonl",
        "  mome train --facts facts.jsonl --out memory",
        '  mome ask memory "..." --trace',
    ]
    return "\n".join(lines)


def _parser(command: str, **kwargs: Any) -> ArgumentParser:
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    text = COMMANDS[command.split()[0]]
    return ArgumentParser(prog=f"mome {command}", description=text[0].upper() + text[1:] + ".", **kwargs)


def settings_from(command: str, kind: type, argv: list[str]) -> Any:
    """Parse a command whose options are the fields of a dataclass; `--config` reads them from a YAML file."""
    parser = _parser(command)
    parser.add_argument("--config", action="config", help="YAML file with settings; options on the line override it")
    parser.add_class_arguments(kind, None)
    switches = {f"--{name}" for name, field in kind.__dataclass_fields__.items() if field.type == "bool"}
    try:
        namespace = parser.parse_args(_spelled(argv, switches))
    except (ValueError, RecursionError) as error:  # of the YAML reader; all else it tells by itself
        raise SettingsError(
            f"--config: expected a YAML file in UTF-8 ({error}); mend it, or save it as UTF-8"
        ) from None
    for name, field in kind.__dataclass_fields__.items():
        if namespace[name] is None and field.default is not None:
            raise SettingsError(f"--{name}: expected a value, got null; leave it out for the default")
    try:
        namespace = parser.instantiate(namespace)
    except TypeError as error:
        raise SettingsError(
            f"expected settings by name where others are nested, got something else ({error})"
        ) from None
    return kind(**{name: namespace[name] for name in kind.__dataclass_fields__})


def _spelled(argv: list[str], switches: set[str]) -> list[str]:
    """Options as the parser spells them: `--on-conflict` is `--on_conflict`, `--resume` alone is `--resume=true`."""
    words = []
    for word, following in zip(argv, [*argv[1:], ""], strict=False):
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            word = name.replace("-", "_").replace("__", "--", 1) + equals + value
            if word in switches and following not in ("true", "false"):
                word += "=true"
        words.append(word)
    return words


def _train(argv: list[str]) -> None:
    from train.settings import TrainSettings

    settings = settings_from("train", TrainSettings, argv)
    from train.teach import teach

    report = teach(settings)
    rows = {"bare backbone": report["before"]} if "before" in report else {}
    print_metrics({**rows, "with the memory": report["after"]})
    _print_failures(report["failures"], str(settings.out / "report.html"))
    _print_json(report["after"])


def _eval(argv: list[str]) -> None:
    parser = _parser("eval")
    parser.add_argument("checkpoint", type=Path, help="folder made by `mome train`")
    parser.add_argument("--facts", type=Path, help="facts to ask for; by default all that were taught")
    parser.add_argument("--limit", type=int, help="ask a seeded random sample of this many")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--json", type=Path, help="also write the result, with every failure, to this file")
    args = parser.parse_args(argv)
    from mome.facts import read_facts, sample_facts
    from mome.joining import Joiner
    from train.verify import evaluate

    model, tokenizer = _open(args.checkpoint)
    facts = read_facts(args.facts, on_conflict="first").facts if args.facts else list(model.facts)
    facts = sample_facts(facts, args.limit, args.seed)
    joiner = Joiner(tokenizer=tokenizer, join=model.config.join, end=model.config.end)
    result = evaluate(model, joiner, facts, "eval")
    print_metrics({"with the memory": result.summary()})
    _print_failures(result.failures, "--json FILE")
    if args.json:
        _write_text(args.json, json.dumps({**result.summary(), "failures": result.failures}, indent=1) + "\n")
    _print_json(result.summary())


def _ask(argv: list[str]) -> None:
    parser = _parser("ask")
    parser.add_argument("checkpoint", type=Path, help="folder made by `mome train`")
    parser.add_argument("prompt", type=str, help="the question, or the beginning that the answer completes")
    parser.add_argument("--max-new-tokens", type=int, default=32, help="longest answer, in tokens")
    parser.add_argument("--trace", action="store_true", help="show which expert of which fact spoke for each token")
    parser.add_argument(
        "--abstain",
        nargs="?",
        const="I don't know.",
        metavar="TEXT",
        help='say this, by default "I don\'t know.", where the question is of the taught kind and no fact supports it',
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    args = parser.parse_args(argv)
    from mome.answer import answer

    model, tokenizer = _open(args.checkpoint)
    given = answer(model, tokenizer, args.prompt, args.max_new_tokens, args.abstain)
    if args.json:
        _print_json(given.to_dict(with_trace=args.trace))
        return
    _print_answer(given, tokenizer, args.trace)


def _annotate(argv: list[str]) -> None:
    parser = _parser("annotate")
    parser.add_argument("checkpoint", type=Path, help="folder made by `mome train`")
    parser.add_argument("text", type=str, nargs="?", help="the text")
    parser.add_argument("--file", type=Path, help="read the text from this file, in UTF-8")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    args = parser.parse_args(argv)
    if (args.text is None) == (args.file is None):
        raise SettingsError("annotate: expected a text or --file, and not both")
    text = args.text if args.file is None else _read_text(args.file)
    from mome.annotate import annotate

    model, tokenizer = _open(args.checkpoint)
    spans = annotate(model, tokenizer, text)
    if args.json:
        _print_json({"spans": [span.to_dict() for span in spans]})
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown, table = Text(), Table("", "fact", "prompt", "says", "text", "similarity", "margin")
    for span in spans:
        shown.append(printable(span.text), "" if span.agrees is None else "green" if span.agrees else "bold red")
        if span.fact_id is not None:
            shown.append(f"[{table.row_count + 1}{'' if span.agrees else '!'}]")
            prompt = model.facts[span.fact_id].prompt
            texts = (
                span.fact_id,
                prompt,
                span.fact_answer or "",
                f"{'' if span.agrees else 'not '}{span.text.strip()}",
            )
            numbers = ("–" if number is None else f"{number:.3f}" for number in (span.similarity, span.margin))
            table.add_row(str(table.row_count + 1), *(Text(printable(each)) for each in texts), *numbers)
    console = Console(highlight=False)
    console.print(shown, soft_wrap=True)
    console.print(table if table.row_count else "no taught fact speaks for any of it")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{path}: expected a text file in UTF-8 ({reason}); check the path") from None


FACT_ACTIONS = {
    "list": "show ids, prompts and answers; --find TEXT only those that contain it",
    "show": "print the facts with these ids as JSON lines",
    "add": "teach the facts of a file, or --prompt and --answer; their ids must be new",
    "update": "correct the facts of a file, or the one with --id: each takes the place of the one with its id",
    "import": "both: update the facts whose ids are there, add the others",
    "forget": "forget the facts with these ids; no file keeps a trace of them",
    "export": "write all facts to a .jsonl file",
}


def _facts(argv: list[str]) -> None:
    parser = _parser("facts", epilog="\n".join(f"{name}: {text}." for name, text in FACT_ACTIONS.items()))
    parser.add_argument("checkpoint", type=Path, help="folder made by `mome train`")
    parser.add_argument("action", type=str, choices=list(FACT_ACTIONS), help="what to do")
    parser.add_argument("what", type=str, nargs="*", help="ids for show and forget, a file for the others")
    parser.add_argument("--prompt", type=str, help="prompt of one fact to add; with update, its new one")
    parser.add_argument("--answer", type=str, help="its answer")
    parser.add_argument("--id", type=str, help="its id; by default one made of its prompt")
    parser.add_argument("--find", type=str, help="list only facts whose id, prompt or answer contains this")
    parser.add_argument("--limit", type=int, default=20, help="list at most this many")
    args = parser.parse_args(argv)
    from mome import edit
    from mome.facts import read_facts

    spelled = args.prompt, args.answer, args.id
    if any(spelled) and args.action not in ("add", "update", "import"):
        raise SettingsError(
            f"facts {args.action}: expected no --prompt, --answer or --id; they spell out a fact to add"
        )
    if args.action == "list" and args.what:
        raise SettingsError(f"facts list: expected nothing behind it, got {args.what}; --find TEXT looks for facts")
    if args.action == "list":
        _list_facts(edit.facts_of(args.checkpoint), args.find, args.limit)
    elif args.action in ("show", "forget") and not args.what:
        raise SettingsError(f"facts {args.action}: expected the ids of facts, got none; `mome facts list` shows them")
    elif args.action == "show":
        ledger = edit.facts_of(args.checkpoint)
        for number in ledger.numbers_of(args.what):
            _print_json(ledger.facts[number].to_record())
    elif args.action == "forget":
        edit.forget(args.checkpoint, args.what)
        print(f"forgot {len(set(args.what)):,} facts")
    elif len(args.what) > 1 or (args.action == "export" and not args.what):
        raise SettingsError(f"facts {args.action}: expected one file, got {args.what}")
    elif args.action == "export":
        print(f"wrote {edit.export(args.checkpoint, Path(args.what[0])):,} facts to {args.what[0]}")
    else:
        if args.what and any(spelled):
            raise SettingsError(f"facts {args.action}: expected a file, or one fact spelled out; got both")
        if args.what:
            facts = read_facts(Path(args.what[0])).facts
        else:
            facts = [edit.spelled_out(args.checkpoint, *spelled, update=args.action == "update")]
        allowed = {"add": args.action != "update", "update": args.action != "add"}
        num_added, num_updated = edit.teach(args.checkpoint, facts, **allowed)
        print(f"added {num_added:,} facts, updated {num_updated:,}")


def _list_facts(facts: Ledger, find: str | None, limit: int) -> None:
    from itertools import islice

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = (fact for fact in facts if find is None or find in f"{fact.id}\n{fact.prompt}\n{fact.answer}")
    table = Table("id", "prompt", "answer")
    for fact in islice(found, limit):
        table.add_row(*(Text(printable(text)) for text in (fact.id, fact.prompt, fact.answer)))
    Console().print(table)
    left = sum(1 for _ in found)
    print(f"{len(facts):,} facts{f', {left:,} more than are shown; --limit shows more' if left else ''}")


def _inspect(argv: list[str]) -> None:
    parser = _parser("inspect")
    parser.add_argument("checkpoint", type=Path, help="folder made by `mome train`")
    parser.add_argument("--verify", action="store_true", help="also compare every file, however large, with its digest")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    args = parser.parse_args(argv)
    from mome import checkpoint
    from mome.manifest import verify

    summary = checkpoint.summarize(args.checkpoint)
    if args.verify:
        summary["files_verified"] = verify(args.checkpoint)
    if not args.json:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table("", "", show_header=False)
        for name, value in summary.items():
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
            table.add_row(name, Text(printable(text)))
        Console().print(table)
        return
    _print_json(summary)


def _bench(argv: list[str]) -> int | None:
    try:
        from benchmarks import NAMES, run
    except ImportError:
        raise SettingsError("the benchmarks are not in the installed package; run this in a checkout of mome") from None
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: mome bench NAME [options]\n\n" + "\n".join(f"  {name:<15}{text}" for name, text in NAMES.items()))
        return 0
    if argv[0] not in NAMES:
        raise SettingsError(f"no benchmark {argv[0]!r}; there are: {', '.join(NAMES)}")
    return run(argv[0], argv[1:])


def _route(argv: list[str]) -> None:
    from train.settings import RouterSettings

    settings = settings_from("route", RouterSettings, argv)
    from train.prepare import make_router

    _print_json(make_router(settings))


def _pretrain(argv: list[str]) -> None:
    from train.settings import PretrainSettings

    settings = settings_from("pretrain", PretrainSettings, argv)
    from train.pretrain import pretrain

    _print_json(pretrain(settings))


def _world(argv: list[str]) -> None:
    from train.settings import WorldSettings

    settings = settings_from("world", WorldSettings, argv)
    from train.world import write_world

    print(f"wrote {write_world(settings):,} facts to {settings.out}")


_RUNNERS: dict[str, Callable[[list[str]], int | None]] = {
    "train": _train,
    "ask": _ask,
    "annotate": _annotate,
    "eval": _eval,
    "facts": _facts,
    "inspect": _inspect,
    "bench": _bench,
    "route": _route,
    "pretrain": _pretrain,
    "world": _world,
}


def _open(checkpoint: Path) -> tuple[MoMEForCausalLM, Any]:
    from mome.decoder import load_tokenizer
    from mome.modeling import MoMEForCausalLM

    model = MoMEForCausalLM.from_pretrained(checkpoint)
    return model, load_tokenizer(model.config.backbone, model.config.revision)


def _print_json(value: dict) -> None:
    print(json.dumps(value, ensure_ascii=False))


def _write_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written ({error.strerror}); choose another file") from None


def print_metrics(rows: dict[str, dict]) -> None:
    """Print metrics by name of row."""
    from rich.console import Console
    from rich.table import Table

    from train.report import METRICS, share

    table = Table("", *METRICS, "facts", "experts")
    for name, row in rows.items():
        table.add_row(name, *(share(row[metric]) for metric in METRICS), f"{row['facts']:,}", f"{row['experts']:,}")
    Console().print(table)


def _print_failures(failures: list[dict], where: str) -> None:
    if not failures:
        return
    print(f"{len(failures):,} failures, all of them in {where}; the first:")
    for failure in failures[:SHOWN_FAILURES]:
        cause = f" ({failure['cause']})" if "cause" in failure else ""
        said = f": expected {failure['expected']!r}, said {failure['said']!r}" if "said" in failure else ""
        print(f"  {failure['kind']}{cause} {failure['prompt']!r}{said}")


def printable(text: str) -> str:
    """Text that is safe on a terminal: control characters, which could move its cursor, are shown as escapes."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def _print_answer(given: Any, tokenizer: Any, with_trace: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(printable(given.answer), markup=False, soft_wrap=True)
    if given.remembered:
        source = printable(f"from fact {given.fact_id}: {given.fact_prompt} -> {given.fact_answer}")
        sure = f"similarity {given.similarity:.3f}, confidence {given.confidence:.3f}"
        console.print(f"  {source} ({sure})", markup=False, soft_wrap=True)
    elif given.abstained:
        console.print("  a question of the taught kind, but no fact supports an answer", markup=False)
    else:
        console.print("  from the backbone alone; no taught fact is near enough", markup=False)
    if with_trace:
        table = Table("token", "expert", "fact", "similarity", "confidence", "margin", "followed")
        for entry in given.trace:
            cells = ("–", "–") if entry.expert is None else (str(entry.expert), str(entry.fact_id))
            followed = "yes" if entry.continued else ""
            sure = entry.similarity, entry.confidence, entry.margin
            numbers = ("–" if number is None else f"{number:.3f}" for number in sure)
            # As texts: rich would take "[/INST]" for markup of its own.
            texts = repr(tokenizer.decode([entry.token])), *map(printable, cells)
            table.add_row(*map(Text, texts), *numbers, followed)
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
