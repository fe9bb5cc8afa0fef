"""Train a classifier of short texts: weights for `rememberd.text_classifier` from labelled lines.

    python -m loadtests.quality.train [NAME …] [--check]

Without a NAME all are trained, as after a change of the features. A corpus is the files `corpora/NAME_*.tsv`, a text
a line: label, language, text, with tabs between them; ⏎ stands for a line end. To teach the product something, add
lines and train again: the same corpus makes the same file. `--check` only measures: each fifth is sorted by what the
others teach. The files `…_blindN.tsv` hold the sentences of a blind set; to measure on it, train without its file.
It needs scikit-learn (`pip install -e .[loadtests]`), which the product does not.
"""

from __future__ import annotations

import argparse
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import rememberd
from rememberd.memory.embedding.embedder import MULTILINGUAL, local_model
from rememberd.memory.learn.wishes.wish_words import readings
from rememberd.text_classifier import TextClassifier, encode

CORPORA = Path(__file__).parent / "corpora"
_PACKAGE = Path(rememberd.__file__).parent
FILES = {  # where the product reads them
    "statements": _PACKAGE / "memory/learn/rules/weights/statements.json",
    "requests": _PACKAGE / "dialects/side_tasks.json",
    "wishes": _PACKAGE / "memory/learn/wishes/memory_commands.json",
    "values": _PACKAGE / "memory/learn/rules/weights/values.json",
    # is a question about the world, and none of the user's
    "general": _PACKAGE / "memory/recall/data/general.json",
    # what is not in English: is a question about the asker, which topics does it need, of which is a fact
    "questions": _PACKAGE / "memory/recall/data/questions.json",
    "needs": _PACKAGE / "memory/recall/data/needs.json",
    "facts": _PACKAGE / "memory/recall/data/facts.json",
    "english": _PACKAGE / "memory/recall/data/english.json",
}
# from the vectors of the same sentences
MEANING = {
    name: FILES[name].with_name(f"{name}_meaning.json")
    for name in ("statements", "values", "needs", "facts", "general")
}
_STATEMENTS = "diet event family health home identity plan play possession preference study work"
_ANY = "*"  # every label
_TAUGHT_BY = {  # labels of other corpora that teach this one, and what they are called there
    "values": [("statements", dict.fromkeys(("none", "play", "plan", "preference", "study"), "none"))],
    # "I don't work at Acme any more" is no wish to have it forgotten, and what people say and ask is mostly none
    "wishes": [
        ("values", {"ended": "none"}),
        ("statements", dict.fromkeys(_STATEMENTS.split(), "none")),
        ("questions", {"own": "none", "none": "none"}),
        ("needs", {_ANY: "none"}),
        ("requests", {_ANY: "none"}),
    ],
    "needs": [("questions", {"none": "none"}), ("general", {"none": "none"})],
    "questions": [("general", {"none": "none"})],
}
# Corpora that have a file of forms, too. A line whose label is {t} lists what may stand for that in the forms of its
# language; {s} stands for a statement.
FORMS = ("statements", "requests", "wishes", "values", "questions", "needs", "facts")
_FILLED = 6  # texts of each form
# What a text of a form counts. The forms of requests are many; at 1 or .4 more persons are taken for programs. Those
# of questions all name a time; at 1, 52 general questions of the five blind sets are taken for own ones, at .3 40.
# Those of wishes are as many as all other texts; at 1, 37 of 7,449 messages that are none seem likely, at .3 7.
# Of needs and facts, at .3 or 1 no more needs of the six blind sets are met, and more general questions have one.
_FORM_WEIGHS = {"requests": 0.2, "statements": 0.3, "questions": 0.3, "wishes": 0.4, "needs": 0.1, "facts": 0.1}
# Other questions are so many that "So, what do you know about me now?" would be one of them.
_LABEL_WEIGHS = {("wishes", label): 3.0 for label in ("recall", "remember", "dont_remember")} | {
    ("wishes", "forget"): 2.0
}
# At .2 five questions about what is told of others ("Who is Pieter?") count as general ones, at .1 one as without.
_GENERAL_FORM_WEIGHS = 0.1
NONE = "none"  # the label of texts that are none of the others
BUCKETS = 1 << 16
STRENGTH = 10.0  # scikit-learn's C
# With the pasted texts among the requests, 10 knows 60 of the 90 blind programs' requests, and 20 knows 63.
_STRENGTH_OF = {"requests": 20.0, "questions": 30.0, "needs": 30.0, "facts": 30.0, "general": 30.0}
_STRENGTH_OF |= {f"{name}_meaning": 3.0 for name in ("needs", "facts", "general")}
WITH_HIDDEN = {
    "statements": (128, 25),
    "values": (64, 15),
}  # meaning is read with so many hidden units, trained in so many rounds
FOLDS = 5
_LEAST = 1.0  # weights below it, in units of the file, are left out: half of them, and they decide nothing
_MOST = 31  # a large weight in the file; finer ones change no decision and do not compress
_LARGER = 9  # weights that are larger still: a line end in pasted code must not make the scale coarse


class Example(NamedTuple):
    label: str
    language: str
    text: str
    weight: float = 1.0


def examples(name: str) -> list[Example]:
    """Raises `SystemExit` with the line that is wrong."""
    found = []
    for file in sorted(CORPORA.glob(f"{name}_*.tsv")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if line.count("\t") != 2:
                raise SystemExit(f"{file}:{number}: label, language and text, with tabs between them")
            found.append(_example(line))
    return found


def _example(line: str) -> Example:
    label, language, text = line.split("\t")
    return Example(label, language, text)


def taught(name: str) -> list[Example]:
    """What a classifier learns from: its corpus, and what another one says besides. Which texts are in English is
    learned from all of them, and from the English examples of topics."""
    if name == "general":
        return _general()
    if name == "english":
        topics = tomllib.loads((_PACKAGE / "memory/recall/data/topics.toml").read_text(encoding="utf-8"))
        grouped = [text for kind in ("statements", "questions") for group in topics[kind] for text in group["texts"]]
        english = [Example("en", "en", text) for text in (*topics["personal"], *grouped)]
        return english + [each._replace(label="en" if each.language == "en" else NONE) for each in examples("*")]
    found = [each._replace(weight=_LABEL_WEIGHS.get((name, each.label), 1.0)) for each in examples(name)]
    for other, labels in _TAUGHT_BY.get(name, ()):
        known = ((each, labels.get(each.label, labels.get(_ANY))) for each in examples(other))
        found += [each._replace(label=label) for each, label in known if label is not None]
    found += filled(name) if name in FORMS else []
    return _read_twice(found) if name == "wishes" else found


def _read_twice(found: Sequence[Example]) -> list[Example]:
    twice = ((each, readings(each.text)) for each in found)
    return [each._replace(text=text) for each, (plain, form) in twice for text in dict.fromkeys((plain, form()))]


def _general() -> list[Example]:
    """Questions about the world, and all others: about the asker, or in need of what is known of them."""
    topics = tomllib.loads((_PACKAGE / "memory/recall/data/topics.toml").read_text(encoding="utf-8"))
    found = [Example("own", "en", text) for text in topics["personal"]]
    found += [
        Example("+".join(group["needs"]) or NONE, "en", text)
        for group in topics["questions"]
        for text in group["texts"]
    ]
    found += examples("general")
    for name in ("questions", "needs"):
        found += examples(name) + [each._replace(weight=_GENERAL_FORM_WEIGHS) for each in filled(name)]
    return [each if each.label == NONE else each._replace(label="user") for each in found]


def filled(name: str) -> list[Example]:
    """Texts in forms that name something, with names, things and statements of their language, so that the form is
    learned and not what it names."""
    stated = [each for each in examples("statements") if each.label not in (NONE, "play", "instruction")]
    lines = (CORPORA / f"forms_of_{name}.tsv").read_text(encoding="utf-8").splitlines()
    forms = [_example(line) for line in lines]
    found, weight = [], _FORM_WEIGHS.get(name, 1.0)
    for language in dict.fromkeys(each.language for each in forms):
        own = [each for each in forms if each.language == language]
        fillings = {each.label: each.text.split(" | ") for each in own if each.label[0] == "{"}
        fillings["{s}"] = [each.text.rstrip(".!。") for each in stated if each.language == language]
        for number, form in enumerate(each for each in own if each.label[0] != "{"):
            found += [
                Example(form.label, language, _fill(form.text, fillings, number * _FILLED + turn), weight)
                for turn in range(_FILLED)
            ]
    return list(dict.fromkeys(found))


def _fill(form: str, fillings: Mapping[str, Sequence[str]], place: int) -> str:
    """Each place of the form by the next filling: "not {n}, {n}" gets two names."""
    text = form
    for blank, values in fillings.items():
        while blank in text:
            text = text.replace(blank, values[place % len(values)], 1)
            place += 1
    return text


def matrix(texts: Sequence[str]) -> csr_matrix:
    rows = [encode(text, BUCKETS) for text in texts]
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in rows)])
    values, buckets = (np.concatenate(parts) for parts in ([row[1] for row in rows], [row[0] for row in rows]))
    return csr_matrix((values, buckets, ends), shape=(len(texts), BUCKETS))


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    encode_meaning = local_model(MULTILINGUAL)
    return np.array([encode_meaning(text) for text in texts])


def model(name: str) -> LogisticRegression:
    return LogisticRegression(C=_STRENGTH_OF.get(name, STRENGTH), max_iter=300, tol=1e-3)


def train(name: str, features: csr_matrix | NDArray[np.float32], found: Sequence[Example]) -> TextClassifier:
    counts = [each.weight for each in found]
    with threadpool_limits(1):  # sums in another order would round some weights otherwise
        fitted = model(name).fit(features, [each.label for each in found], sample_weight=counts)
    weights, bias = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # scikit-learn gives the second label's alone
        weights, bias = np.vstack([-weights / 2, weights / 2]), np.array([-bias[0] / 2, bias[0] / 2])
    scale = np.sort(np.abs(weights), axis=1)[:, -1 - _LARGER] / _MOST
    weights[np.abs(weights) < _LEAST * scale[:, None]] = 0
    whole = np.rint(weights.T / scale).clip(-127, 127).astype(np.int8)
    return TextClassifier(tuple(fitted.classes_), whole, scale.astype(np.float32), bias.astype(np.float32))


def train_hidden(features: NDArray[np.float32], found: Sequence[Example], units: int, rounds: int) -> TextClassifier:
    """Of vectors, with a hidden layer. Of the sentences of two blind sets that it had not seen, .92 of the statements
    are found with a precision of .95, without the layer .82; together with the words .98 instead of .95. Of values
    in nine blind sets, three at a time not taught, .85 are found at .6 instead of .80, with a precision of .98."""
    fitted = MLPClassifier(
        units, alpha=1e-3, learning_rate_init=2e-3, batch_size=128, max_iter=rounds, random_state=1
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # more rounds only learn the examples by heart
        fitted.fit(features, [each.label for each in found], sample_weight=[each.weight for each in found])
    (inner, outer), (inner_bias, outer_bias) = fitted.coefs_, fitted.intercepts_
    hidden = _whole(tuple(map(str, range(units))), inner, inner_bias)
    return replace(_whole(tuple(fitted.classes_), outer, outer_bias), hidden=hidden)


def _whole(labels: tuple[str, ...], weights: NDArray[np.float32], bias: NDArray[np.float32]) -> TextClassifier:
    scale = np.abs(weights).max(axis=0) / 127
    return TextClassifier(
        labels, np.rint(weights / scale).astype(np.int8), scale.astype(np.float32), bias.astype(np.float32)
    )


def check(name: str, found: Sequence[Example]) -> str:
    """How sure it must be that a text is not `NONE` for such a precision, and how many are found then."""
    labels = np.array([each.label for each in found])
    order = StratifiedKFold(FOLDS, shuffle=True, random_state=1)
    sure = cross_val_predict(
        model(name), matrix([each.text for each in found]), labels, cv=order, method="predict_proba", n_jobs=1
    )
    names = np.unique(labels)
    some = 1 - sure[:, list(names).index(NONE)]
    lines = [f"{len(found)} texts, {int((labels != NONE).sum())} of them not {NONE}"]
    lines += [_at(precision, some, labels != NONE) for precision in (0.85, 0.9, 0.93, 0.95, 0.97, 0.99)]
    return "\n".join(lines)


def _at(precision: float, sure: NDArray[np.float64], wanted: NDArray[np.bool_]) -> str:
    order = np.argsort(-sure)
    right = np.cumsum(wanted[order])
    enough = np.flatnonzero(right >= precision * np.arange(1, len(order) + 1))
    if not len(enough):
        return f"precision {precision:.2f}: never"
    last = enough[-1]
    return f"precision {precision:.2f}: threshold {sure[order[last]]:.2f}, recall {right[last] / wanted.sum():.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.quality.train", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FILES)}; all if none is given")
    parser.add_argument("--check", action="store_true", help="measure by cross-validation, write nothing")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(FILES):
        parser.error(f"no corpus {', '.join(sorted(unknown))}: choose from {', '.join(FILES)}")
    for name in chosen.names or FILES:
        found = taught(name)
        if chosen.check:
            print(f"{name}: {check(name, found)}")
        else:
            texts = [each.text for each in found]
            train(name, matrix(texts), found).save(FILES[name])
            if name in MEANING:
                meaning = vectors(texts)
                flat = name not in WITH_HIDDEN
                stem = MEANING[name].stem
                sorts = train(stem, meaning, found) if flat else train_hidden(meaning, found, *WITH_HIDDEN[name])
                sorts.save(MEANING[name])
            print(f"{FILES[name]}: {FILES[name].stat().st_size / 1000:.0f} KB from {len(found)} texts")


if __name__ == "__main__":
    main()
