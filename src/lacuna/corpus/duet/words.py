"""The words of duet: one lexicon an emotion, one a scene, filler that holds a sentence together, and two casts.

No word is in two lists: so a word says something of the emotion, or of the scene, or nothing, and never two at once.
"""

from __future__ import annotations

EMOTIONS: dict[str, tuple[str, ...]] = {
    "neutral": tuple(
        "fine okay usual plain ordinary regular steady normal average typical routine standard simple even level "
        "alright settled calm moderate neither common acceptable unremarkable same".split()
    ),
    "joy": tuple(
        "happy wonderful delighted laughing glad lovely cheerful smiling grateful brilliant proud sunny hooray glorious "
        "thrilled merry dancing sweet marvellous celebrate hopeful beaming charming playful".split()
    ),
    "sadness": tuple(
        "sad crying lonely tired lost empty grieving sorry hopeless miserable heavy tearful broken gloomy weary regret "
        "mourning homesick hurting fading bitter aching longing forgotten".split()
    ),
    "anger": tuple(
        "angry furious unfair shouting ridiculous hate outrageous annoyed liar stubborn boiling insulting rude enough "
        "disgraceful slammed fuming cheated blame nonsense unbearable livid hostile resent".split()
    ),
    "surprise": tuple(
        "suddenly wow unbelievable amazing unexpected incredible really seriously astonishing whoa strange stunned "
        "speechless imagine shocking bizarre gasped puzzling startled nowhere impossible extraordinary sudden miracle".split()
    ),
    "fear": tuple(
        "afraid scared nervous trembling danger careful hiding worried panic frightened dark terrified anxious threatening "
        "shivering creepy risky dreading uneasy haunted helpless cornered escape warning".split()
    ),
}

SCENES: dict[str, tuple[str, ...]] = {
    "kitchen": tuple(
        "kettle soup bread oven spoon apron butter recipe dishes table garlic plates pan breakfast fridge sugar".split()
    ),
    "office": tuple(
        "meeting deadline printer email manager contract desk report client invoice elevator schedule budget coffee badge memo".split()
    ),
    "station": tuple(
        "train platform ticket luggage delay conductor timetable suitcase carriage whistle bridge tunnel map border taxi queue".split()
    ),
    "garden": tuple("roses shovel lawn bees fence tomatoes gate hedge seeds puddle ladder apples pond ivy rake swing".split()),
    "school": tuple(
        "teacher exam homework chalk library lesson pupils essay grades bell classroom pencil uniform term maths bus".split()
    ),
    "theatre": tuple(
        "stage curtain actor tickets rehearsal script costume audience applause balcony piano spotlight mask poster scene opera".split()
    ),
}

FILLER: tuple[str, ...] = tuple(
    "i you we the my your our this that and so but then well just still again now today about with for always maybe "
    "anyway because oh look listen yes no tomorrow somehow".split()
)

CAST: tuple[str, ...] = tuple(
    "Ada Amir Bea Carlos Chen Dora Elif Emil Fay Femi Gita Hugo Ines Ivan Jana Joon Kofi Lena Luca Mara Nils Noor Olga Omar".split()
)
UNSEEN: tuple[str, ...] = tuple(
    "Abel Anouk Boris Celia Davi Edda Farid Greta Hana Isak Jude Kaya Liv Milo Nadia Otto Petra Quinn Rosa Sami Tove Uma Viggo Yara".split()
)
