"""Damage to recordings before their features are computed: one module a track; modules are discovered automatically."""

from lacuna.media.damage.base import (
    DAMAGES,
    Damage,
    PictureDamage,
    SoundDamage,
    TextDamage,
    damage_sound,
    damage_text,
    damages_of,
    list_damages,
)

__all__ = [
    "DAMAGES",
    "Damage",
    "PictureDamage",
    "SoundDamage",
    "TextDamage",
    "damage_sound",
    "damage_text",
    "damages_of",
    "list_damages",
]
