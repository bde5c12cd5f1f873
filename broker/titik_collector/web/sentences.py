"""What the program says, in the language of who asks.

Rule: a text that is no `Sentence` is somebody else's, such as an error of the system; it stays as
it is.
"""

from titik_collector.languages.language import Language
from titik_collector.wording.sentence import Length, Part, Sentence, Word


def translated(lang: Language, text: str) -> str:
    """The sentence in the language."""
    if lang.code == "en":
        return str(text)
    if not isinstance(text, Sentence):
        return lang.say(text) if text else text
    parts = {name: _part(lang, part) for name, part in text.parts.items()}
    return lang.say(text.template).format(**parts)


def is_ours(lang: Language, text: str) -> bool:
    """Whether `translated` gives it in the language."""
    return isinstance(text, Sentence) or lang.code == "en" or lang.say(text) != text


def _part(lang: Language, part: Part) -> str:
    if isinstance(part, Length):
        return lang.length(part.ms / 1000)
    if isinstance(part, Word):
        return lang.say(part.text)
    return lang.count(part) if isinstance(part, int) else translated(lang, part)
