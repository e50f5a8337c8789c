"""The map from words of free answers to classes: synonyms, languages, negations and refusals."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacuna.errors import ConfigError, suggestion

# Common words for frequent classes, in English, German, French, Spanish and Chinese. A map file replaces or extends them.
COMMON_WORDS: tuple[tuple[str, ...], ...] = (
    ("happy", "happiness", "joy", "joyful", "cheerful", "delighted", "pleased", "glücklich", "fröhlich", "freude", "heureux",
     "heureuse", "joie", "feliz", "alegre", "alegría", "高兴", "开心", "快乐", "喜悦"),
    ("sad", "sadness", "sorrow", "sorrowful", "unhappy", "traurig", "trauer", "traurigkeit", "triste", "tristesse", "tristeza",
     "悲伤", "难过", "伤心"),
    ("anger", "angry", "mad", "furious", "rage", "wütend", "wut", "zornig", "ärger", "colère", "fâché", "fâchée", "enojado",
     "enojada", "enfadado", "ira", "愤怒", "生气"),
    ("fear", "fearful", "afraid", "scared", "frightened", "angst", "ängstlich", "peur", "effrayé", "miedo", "asustado", "害怕",
     "恐惧"),
    ("surprise", "surprised", "astonished", "amazed", "überrascht", "überraschung", "surpris", "surprise", "sorprendido",
     "sorpresa", "惊讶", "吃惊"),
    ("disgust", "disgusted", "revolted", "ekel", "angeekelt", "dégoût", "dégoûté", "asco", "asqueado", "厌恶", "恶心"),
    ("neutral", "calm", "no emotion", "ruhig", "neutre", "calme", "tranquilo", "中性", "平静"),
    ("excited", "excitement", "enthusiastic", "aufgeregt", "begeistert", "excité", "emocionado", "兴奋", "激动"),
    ("frustrated", "frustration", "annoyed", "frustriert", "frustré", "frustrado", "沮丧"),
    ("contempt", "contemptuous", "scornful", "verachtung", "mépris", "desprecio", "轻蔑"),
    ("positive", "positiv", "positif", "positivo", "积极"),
    ("negative", "negativ", "négatif", "negativo", "消极"),
)  # fmt: skip
NEGATIONS = (
    "not", "no", "never", "without", "neither", "nor", "none", "hardly", "cannot", "lacks", "nicht", "kein", "keine", "keinen",
    "weder", "nie", "ohne", "pas", "ni", "jamais", "sans", "nunca", "sin", "不", "没",
)  # fmt: skip
CONTRASTS = ("but", "rather", "instead", "however", "aber", "sondern", "mais", "plutôt", "sino", "pero", "但", "而是", "却")
REFUSALS = (
    "i cannot", "i can't", "i can not", "i am unable", "i'm unable", "unable to determine", "cannot determine",
    "cannot be determined", "can't tell", "cannot identify", "as an ai", "i'm sorry", "i apologize",
    "not able to", "ich kann nicht", "je ne peux pas", "no puedo", "无法", "不能确定", "抱歉",
)  # fmt: skip
PATTERNS = (r"<answer>(.*?)(?:</answer>|$)", r"[\"'](?:emotion|emotions|label|labels|answer)[\"']\s*:\s*(\[.*?\]|[\"'].*?[\"'])")
SEVERAL = ("shares", "first", "none")


@dataclass(frozen=True)
class AnswerMap:
    """What words of an answer mean.

    Attributes:
        classes: class names, in the order of the columns of the result.
        words: class of each word or phrase, in lower case.
        negations: words that turn a label after them off; every word that ends in ``n't`` is one as well.
        reach: how many words may stand between a negation and the label that it turns off, plus 1.
        contrasts: words that end a negation or a refusal, such as *but*.
        refusals: phrases of an answer that declines; labels after one, in the same sentence, do not count.
        patterns: regular expressions, tried in order; if one matches, only its first group is read (the last match).
        several: what an answer with k classes becomes: ``shares``: 1 / k each, predicted = the first one named; ``first``: the
            first one named; ``none``: not mapped.
    """

    classes: tuple[str, ...]
    words: Mapping[str, str]
    negations: frozenset[str] = frozenset(NEGATIONS)
    reach: int = 3
    contrasts: tuple[str, ...] = CONTRASTS
    refusals: tuple[str, ...] = REFUSALS
    patterns: tuple[str, ...] = PATTERNS
    several: str = "shares"

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ConfigError(f"an answer map needs classes, each once, not {', '.join(self.classes) or 'none'}")
        if self.several not in SEVERAL:
            raise ConfigError(f"several is one of {', '.join(SEVERAL)}, not {self.several!r}{suggestion(self.several, SEVERAL)}")
        if self.reach < 1:
            raise ConfigError(f"the reach of a negation is at least 1 word, not {self.reach}")


def answer_map(classes: Sequence[str], words: Mapping[str, Sequence[str]] | None = None, **settings: Any) -> AnswerMap:
    """Return a map of classes with their own words, and with common ones.

    Args:
        classes: C names. A class that is among :data:`COMMON_WORDS`, such as ``joy`` or ``sad``, gets the words of its group,
            unless another class is named by the word.
        words: further words or phrases by class, any language; they win over common words.
        **settings: other attributes of :class:`AnswerMap`.

    Raises:
        ConfigError: a word belongs to two classes, or ``words`` names an unknown class.

    Example:
        >>> answer_map(["joy", "sad"], {"sad": ["blue"]}).words["glücklich"]
        'joy'
    """
    own: dict[str, str] = {name.casefold(): name for name in classes}
    for name, entries in (words or {}).items():
        if name not in classes:
            raise ConfigError(
                f"the map has words for {name!r}{suggestion(name, classes)}, which is no class: {', '.join(classes)}"
            )
        for word in entries:
            key = word.casefold().strip()
            if own.get(key, name) != name:
                raise ConfigError(f"the word {word!r} belongs to two classes: {own[key]} and {name}")
            own[key] = name
    common: dict[str, str] = {}
    for group in COMMON_WORDS:
        named = [name for name in classes if name.casefold() in group]
        if len(named) == 1:
            common |= dict.fromkeys(group, named[0])
    return AnswerMap(tuple(classes), common | own, **settings)


def read_answer_map(path: Path) -> AnswerMap:
    """Return the map of a TOML file.

    Keys: ``classes`` (list); optionally the tables ``words`` (class = list of words and phrases), ``negation`` (``words``,
    ``reach``, ``contrasts``), ``refusal`` (``phrases``), and ``several``, ``patterns``. What is not declared has its default.

    Raises:
        ConfigError: there is no such file, it is no TOML, or a key is unknown.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from None
    _known(path, "", content, ("classes", "words", "negation", "refusal", "several", "patterns"))
    negation, refusal = content.get("negation", {}), content.get("refusal", {})
    _known(path, "negation.", negation, ("words", "reach", "contrasts"))
    _known(path, "refusal.", refusal, ("phrases",))
    settings: dict[str, Any] = {key: content[key] for key in ("several",) if key in content}
    settings |= {"patterns": tuple(content["patterns"])} if "patterns" in content else {}
    settings |= {"negations": frozenset(w.casefold() for w in negation["words"])} if "words" in negation else {}
    settings |= {"reach": negation["reach"]} if "reach" in negation else {}
    settings |= {"contrasts": tuple(w.casefold() for w in negation["contrasts"])} if "contrasts" in negation else {}
    settings |= {"refusals": tuple(w.casefold() for w in refusal["phrases"])} if "phrases" in refusal else {}
    if not isinstance(content.get("classes"), list):
        raise ConfigError(f"{path} declares no classes; write classes = ['happy', 'sad']")
    return answer_map(content["classes"], content.get("words"), **settings)


def _known(path: Path, where: str, table: Mapping[str, Any], keys: Sequence[str]) -> None:
    if unknown := sorted(set(table) - set(keys)):
        raise ConfigError(f"{path} has no key '{where}{unknown[0]}'{suggestion(unknown[0], keys)}; known: {', '.join(keys)}")
