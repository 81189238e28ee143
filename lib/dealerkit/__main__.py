"""Commands: what the Makefile's recipes call. `python -m dealerkit --help` lists them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from dealerkit import chain, params
from dealerkit.chain import cost, imports
from dealerkit.errors import UserError

#: Steps of a report, of which it is kept what they took.
MEASURED = ("execute", "render", "dictionary")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dealerkit", description="What the Makefile calls; `make help` lists what people call."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("execute", "run the notebook of a stage"), ("render", "render its page")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--dealer", required=True)
        command.add_argument("--stage", required=True)
    new = commands.add_parser("new-dealer", help="write params for a folder of raw files")
    new.add_argument("--dealer", required=True)
    new.add_argument("--raw", default="", help="the folder; without it data/raw/<dealer>")
    for name, text in (
        ("dictionary", "the data dictionary"),
        ("cost", "the page on what the report took"),
        ("fixlist", "the encrypted workbook with what staff can mend"),
    ):
        commands.add_parser(name, help=f"write {text}").add_argument("--dealer", required=True)
    for name, text in (("customer", "the customer in ID"), ("vehicle", "the car in VIN, both of the environment")):
        commands.add_parser(name, help=f"write the private page of {text}").add_argument("--dealer", required=True)
    schema = commands.add_parser("schema", help="write the JSON schema of params files")
    schema.add_argument("--check", action="store_true", help="only compare with what is there")
    strings = commands.add_parser("strings", help="collect translatable messages into the catalogues")
    strings.add_argument("--check", action="store_true", help="only list what has no translation")
    demo = commands.add_parser("demo", help="make an invented dealer")
    demo.add_argument("--dealer", default="demo", help="demo or demo_cn")
    demo.add_argument("--out", type=Path, required=True, help="folder for the raw files")
    demo.add_argument("--truth", type=Path, required=True, help="folder for the truth, outside any data/raw")
    demo.add_argument("--customers", type=int)
    demo.add_argument("--seed", type=int)
    demo.add_argument("--types", default="usual", help="types of customers planted: usual, apart or none")
    demo.add_argument("--faults", default="usual", help="usual, or none for data without any fault")
    demo.add_argument("--month", type=int, default=0, help="1 for the export of the same dealer a month later")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 2 the user's mistake, 1 a failure of the kit."""
    given = _parser().parse_args(arguments)
    root = Path.cwd()
    try:
        if given.command in (*MEASURED, "cost", "fixlist", "customer", "vehicle"):
            return _chain(given, root)
        return {"schema": _schema, "strings": _strings, "demo": _demo, "new-dealer": _new_dealer}[given.command](
            given, root
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _chain(given: argparse.Namespace, root: Path) -> int:
    folders = chain.Folders(root, params.check_dealer_name(given.dealer))
    meter, named = cost.Meter(), [given.stage] if "stage" in given else []
    code = chain.guarded(folders, *(named or [given.command]), lambda: _step(given.command)(folders, *named))
    if code == 0 and given.command in MEASURED:
        meter.keep(folders, given.command, *named)
    return code


def _step(command: str):
    """The function of a step of the chain; what it needs is imported now."""
    imports.import_spared()
    if command == "execute":
        from dealerkit.chain.execute import execute

        return execute
    if command in ("customer", "vehicle"):
        from dealerkit.chain import profiles

        return getattr(profiles, command)
    if command == "fixlist":
        from dealerkit.fixlist import writing

        return lambda folders: print(writing.write(folders), flush=True)
    from dealerkit.chain import pages

    return {"render": pages.render, "dictionary": pages.dictionary, "cost": cost.page}[command]


def _schema(given: argparse.Namespace, root: Path) -> int:
    path = root / "params/schema.json"
    text = json.dumps(params.schema(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if given.check:
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            raise UserError("params/schema.json is not what the params declare", "run make schema")
        return 0
    path.write_text(text, encoding="utf-8")
    return 0


def _strings(given: argparse.Namespace, root: Path) -> int:
    from dealerkit.report import strings

    messages = strings.collect([root / "lib/dealerkit", root / "notebooks"])
    if not given.check:
        strings.merge("zh", messages)
        print(f"{len(messages)} messages")
    missing = strings.missing("zh", messages)
    for message in missing:
        print(f"no translation: {message.splitlines()[0][:100]}")
    return 1 if missing and given.check else 0


def _new_dealer(given: argparse.Namespace, root: Path) -> int:
    from dealerkit import newdealer

    print(newdealer.new_dealer(root, given.dealer, given.raw))
    return 0


def _demo(given: argparse.Namespace, root: Path) -> int:
    from dealerkit import demo

    how = {"kind": given.types, "faults": given.faults, "month": given.month}
    demo.generate(given.dealer, given.out, given.truth, customers=given.customers, seed=given.seed, **how)
    return 0


if __name__ == "__main__":
    sys.exit(main())
