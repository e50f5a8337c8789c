"""Missing data: patterns, plans and masks. A mask is a pure function of a seed and the ids of utterances.

``MaskPlan("rmm", rate=0.3, seed=0).over(Layout.of(split)).present(rows)`` tells which frames of these rows are left.
"""

from lacuna.missing.files import MaskFile, StoredMask, decode_masks, encode_masks, masks_of, read_masks, write_masks
from lacuna.missing.hashing import derive_seed
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Pattern, SlotDraw, Unit
from lacuna.missing.patterns.frames import Rmfm, RmfmIid
from lacuna.missing.patterns.imbalanced import Imbalanced
from lacuna.missing.patterns.modalities import Fixed, Rmm
from lacuna.missing.patterns.outage import Outage
from lacuna.missing.patterns.published import FILE, Published, published_plans
from lacuna.missing.patterns.speaker import Speaker
from lacuna.missing.patterns.time import Seconds, Stmfm, Tmfm
from lacuna.missing.plan import Mask, MaskPlan
from lacuna.missing.registry import list_patterns, pattern, pattern_class, register
from lacuna.missing.thin import Thin, thin

__all__ = [
    "FILE",
    "Draw",
    "Fixed",
    "Imbalanced",
    "Layout",
    "Mask",
    "MaskFile",
    "MaskPlan",
    "Outage",
    "Pattern",
    "Published",
    "Rmfm",
    "RmfmIid",
    "Rmm",
    "Seconds",
    "SlotDraw",
    "Speaker",
    "Stmfm",
    "StoredMask",
    "Thin",
    "Tmfm",
    "Unit",
    "decode_masks",
    "derive_seed",
    "encode_masks",
    "list_patterns",
    "masks_of",
    "pattern",
    "pattern_class",
    "published_plans",
    "read_masks",
    "register",
    "thin",
    "write_masks",
]
