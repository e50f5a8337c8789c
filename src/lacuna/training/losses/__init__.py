"""Losses of the main target and of auxiliary targets: settings of training, found by name, for every model that learns."""

from lacuna.training.losses.base import LabelCounts, Loss, Plain, list_losses, loss, loss_class, register
from lacuna.training.losses.concordance import Ccc
from lacuna.training.losses.physics import Physics
from lacuna.training.losses.rater_shares import Majority, Penalisation
from lacuna.training.losses.triplet import Triplet
from lacuna.training.losses.weighted import ClassBalanced, Focal

__all__ = [
    "Ccc",
    "ClassBalanced",
    "Focal",
    "LabelCounts",
    "Loss",
    "Majority",
    "Penalisation",
    "Physics",
    "Plain",
    "Triplet",
    "list_losses",
    "loss",
    "loss_class",
    "register",
]
