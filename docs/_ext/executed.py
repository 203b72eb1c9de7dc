"""The cache of executed pages, fit for pages that are read in parallel, and for builds that are interrupted.

jupyter-cache deletes the oldest pages beyond a limit whenever it adds one. It asks for them in two queries, and a page that another process
adds between the two is among them. So nothing is deleted: each state of the engine has a folder of its own, for a few dozen pages.
"""

from pathlib import Path

from jupyter_cache.cache.db import NbCacheRecord, create_db
from jupyter_cache.cache.main import JupyterCacheBase


def prepare(folder: Path) -> JupyterCacheBase:
    """The cache in a folder, without pages of which only the record was written: they would stop every build from then on."""
    folder.mkdir(parents=True, exist_ok=True)
    create_db(str(folder))  # here, once: each process would try
    JupyterCacheBase.truncate_caches = lambda self: None
    cache = JupyterCacheBase(str(folder))
    for record in cache.list_cache_records():
        if not (folder / "executed" / record.hashkey / "base.ipynb").exists():
            NbCacheRecord.remove_record(record.pk, cache.db)
    return cache
