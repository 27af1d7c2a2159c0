"""A model's stored verdicts, from the tables of its scores."""

import numpy as np

from polaris.evaluation import verdicts
from polaris.evaluation.verdicts import Verdicts
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.records import DIVERSITY, GRADED, read_rows, read_table


def read_verdicts(scores: Manifest) -> dict[str, Verdicts]:
    """Benchmark -> verdicts, from one model's graded.parquet, in the order of the file.

    Raises UserError where it has no rows.
    """
    path = scores.file("graded.parquet")
    table = read_table(path, GRADED)
    if not len(table):
        raise UserError(f"{path}: no verdicts; grade the responses again")
    column = {name: table[name].to_numpy() for name in table.column_names}
    distinct: dict[str, dict[str, float | None]] = {}
    if "diversity.parquet" in scores.files:  # scores from before there was such a table are good without it
        for row in read_rows(scores.file("diversity.parquet"), DIVERSITY):
            distinct.setdefault(row["set"], {})[row["problem_id"]] = row["distinct"]
    by_benchmark = {}
    for name in dict.fromkeys(column["set"]):
        mine = np.flatnonzero(column["set"] == name)
        rows = {key: values[mine] for key, values in column.items()}
        by_benchmark[name] = verdicts.tabulate(f"{path}: benchmark {name}", rows, distinct.get(name, {}))
    return by_benchmark
