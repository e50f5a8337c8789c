"""The words of duet: a lexicon for each emotion and scene, filler words, and the names of two casts.

No word is in two lists, so a word depends on the emotion, or on the scene, or on neither.
"""

from __future__ import annotations


def _of(text: str) -> tuple[str, ...]:
    return tuple(text.split())


EMOTIONS: dict[str, tuple[str, ...]] = {
    "neutral": _of(
        "fine okay usual plain ordinary regular steady normal average typical routine standard simple even level "
        "alright settled calm moderate neither common acceptable unremarkable same"
    ),
    "joy": _of(
        "happy wonderful delighted laughing glad lovely cheerful smiling grateful brilliant proud sunny hooray "
        "glorious thrilled merry dancing sweet marvellous celebrate hopeful beaming charming playful"
    ),
    "sadness": _of(
        "sad crying lonely tired lost empty grieving sorry hopeless miserable heavy tearful broken gloomy weary "
        "regret mourning homesick hurting fading bitter aching longing forgotten"
    ),
    "anger": _of(
        "angry furious unfair shouting ridiculous hate outrageous annoyed liar stubborn boiling insulting rude "
        "enough disgraceful slammed fuming cheated blame nonsense unbearable livid hostile resent"
    ),
    "surprise": _of(
        "suddenly wow unbelievable amazing unexpected incredible really seriously astonishing whoa strange stunned "
        "speechless imagine shocking bizarre gasped puzzling startled nowhere impossible extraordinary sudden "
        "miracle"
    ),
    "fear": _of(
        "afraid scared nervous trembling danger careful hiding worried panic frightened dark terrified anxious "
        "threatening shivering creepy risky dreading uneasy haunted helpless cornered escape warning"
    ),
}

SCENES: dict[str, tuple[str, ...]] = {
    "kitchen": _of("kettle soup bread oven spoon apron butter recipe dishes table garlic plates pan breakfast fridge sugar"),
    "office": _of(
        "meeting deadline printer email manager contract desk report client invoice elevator schedule budget coffee badge memo"
    ),
    "station": _of(
        "train platform ticket luggage delay conductor timetable suitcase carriage whistle bridge tunnel map border taxi queue"
    ),
    "garden": _of("roses shovel lawn bees fence tomatoes gate hedge seeds puddle ladder apples pond ivy rake swing"),
    "school": _of("teacher exam homework chalk library lesson pupils essay grades bell classroom pencil uniform term maths bus"),
    "theatre": _of(
        "stage curtain actor tickets rehearsal script costume audience applause balcony piano spotlight mask poster scene opera"
    ),
}

FILLER: tuple[str, ...] = _of(
    "i you we the my your our this that and so but then well just still again now today about with for always "
    "maybe anyway because oh look listen yes no tomorrow somehow"
)

CAST: tuple[str, ...] = _of(
    "Ada Amir Bea Carlos Chen Dora Elif Emil Fay Femi Gita Hugo Ines Ivan Jana Joon Kofi Lena Luca Mara Nils Noor Olga Omar"
)
UNSEEN: tuple[str, ...] = _of(
    "Abel Anouk Boris Celia Davi Edda Farid Greta Hana Isak Jude Kaya Liv Milo Nadia Otto Petra Quinn Rosa "
    "Sami Tove Uma Viggo Yara"
)
