"""Importers: one module for each source format; modules of this folder are discovered automatically.

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
