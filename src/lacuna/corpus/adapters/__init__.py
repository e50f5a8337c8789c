"""Adapters of public corpora: one module for each corpus as people download it; modules of this folder are found automatically.

An adapter parses the official label files and folder layout of one corpus. Use :func:`read_folder` to get its utterances, and
:func:`list_adapters` to see which corpora are known.
"""

from lacuna.corpus.adapters.base import (
    Adapter,
    Annotations,
    Row,
    adapter_class,
    adapter_of,
    list_adapters,
    read_folder,
    register_adapter,
)

__all__ = [
    "Adapter",
    "Annotations",
    "Row",
    "adapter_class",
    "adapter_of",
    "list_adapters",
    "read_folder",
    "register_adapter",
]
