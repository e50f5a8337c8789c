"""What goes missing: patterns, plans and masks, all pure functions of seeds and stable ids.

``MaskPlan("rmm", rate=0.3, seed=0).over(Layout.of(split)).present(rows)`` says what is left of those rows.
"""

from lacuna.missing.hashing import derive_seed
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Pattern, SlotDraw, Unit
from lacuna.missing.patterns.frames import Rmfm, RmfmIid
from lacuna.missing.patterns.imbalanced import Imbalanced
from lacuna.missing.patterns.modalities import Fixed, Rmm
from lacuna.missing.patterns.outage import Outage
from lacuna.missing.patterns.speaker import Speaker
from lacuna.missing.patterns.time import Stmfm, Tmfm
from lacuna.missing.plan import Mask, MaskPlan
from lacuna.missing.registry import list_patterns, pattern, pattern_class, register

__all__ = [
    "Draw",
    "Fixed",
    "Imbalanced",
    "Layout",
    "Mask",
    "MaskPlan",
    "Outage",
    "Pattern",
    "Rmfm",
    "RmfmIid",
    "Rmm",
    "SlotDraw",
    "Speaker",
    "Stmfm",
    "Tmfm",
    "Unit",
    "derive_seed",
    "list_patterns",
    "pattern",
    "pattern_class",
    "register",
]
