"""Importers: one file a source format; every module beside this one is discovered by itself.

Use :func:`import_corpus` to read a foreign file or folder, :func:`list_importers` to see what can be read.
"""

from lacuna.corpus.importers.base import (
    Importer,
    Options,
    Recognition,
    import_corpus,
    importer_class,
    list_importers,
    recognise,
    register,
)

__all__ = [
    "Importer",
    "Options",
    "Recognition",
    "import_corpus",
    "importer_class",
    "list_importers",
    "recognise",
    "register",
]
