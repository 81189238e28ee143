"""The fix list: what staff are asked to mend, and what they sent back.

`make fixlist` writes `reports/<dealer>/fixlist.xlsx` (`writing`), a sheet for each desk, a line for each value. Staff
fill in the correct value, or why there is none, and put the workbook (or a CSV saved from it) into
`data/raw/<dealer>/returned/`; the next run reads it (`returned`), and the audit applies it and says what it changed.
"""

from dealerkit.fixlist.lines import HEADINGS, REASONS, reference
from dealerkit.fixlist.reading import Returned, returned

__all__ = ["HEADINGS", "REASONS", "Returned", "reference", "returned"]
