"""Execute one notebook, render one page: what a recipe of the Makefile calls.

Nothing half-done is ever seen: a stage writes below `build/<dealer>/.<stage>.part/` and is renamed into place when
its notebook has run to the end; the executed notebook comes last, since make takes it as the sign that the stage is
done. A failed stage leaves its notebook as `<stage>.failed.ipynb`, its log, and `status.json` with the exit code.
"""

from dealerkit.chain.ends import KitError, guarded, scrubbed
from dealerkit.chain.folders import COST, DICTIONARY, PAGES, Folders, page_name, stages

__all__ = ["COST", "DICTIONARY", "PAGES", "Folders", "KitError", "guarded", "page_name", "scrubbed", "stages"]
