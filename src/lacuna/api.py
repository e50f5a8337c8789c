"""The front door: load a corpus, create, train and compare recognisers, predict. ``import lacuna`` offers these names.

Example:
    >>> import lacuna
    >>> corpus = lacuna.load_corpus("duet", preset="tiny")
    >>> model = lacuna.create_model("linear").fit(corpus, epochs=2, seed=0)
    >>> model.score(corpus, pattern="rmm", rate=0.3).metric
    'weighted_f1'
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lacuna.atomic import scratch_folder
from lacuna.comparison import PATTERNS, RATES, evaluate_recognizers
from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, naming_extras
from lacuna.evaluation import predict_frame
from lacuna.evaluation.recovery.completed import completed
from lacuna.loading import RECORDINGS, load_corpus, reads_recordings
from lacuna.missing import MaskPlan, Pattern
from lacuna.models import configure, model_card, model_table
from lacuna.recordings import extract_for, predict_recordings, without_modalities
from lacuna.results import Evaluation, Score
from lacuna.runs import CHECKPOINTS, no_run
from lacuna.training import Recipe, TrainedRecognizer, export_recognizer, fit, load_recognizer, load_recognizers, run_folder
from lacuna.training import save_recognizer as _save
from lacuna.training.config import model_settings, training_config, training_settings
from lacuna.training.logs import history_table
from lacuna.training.trained import INDEX, MANIFEST
from lacuna.training.variant import check_variant

if TYPE_CHECKING:
    from lacuna.tuning import Chosen


class Model:
    """A recogniser with its settings; after :meth:`fit` also with its weights. Made by :func:`create_model`.

    Attributes:
        name: the registered name.
        settings: those that differ from the defaults.
        variant: what tables call it.
    """

    def __init__(self, name: str, settings: dict[str, Any] | None = None, variant: str = "") -> None:
        self.name, self.settings = name, dict(settings or {})
        self.variant = check_variant(variant, name)
        self._trained: TrainedRecognizer | None = None
        self._history = pd.DataFrame()
        configure(name, **self.settings)  # a wrong setting is refused here, not in training

    @property
    def trained(self) -> TrainedRecognizer:
        """The trained recogniser.

        Raises:
            ConfigError: the model was not fitted.
        """
        if self._trained is None:
            raise ConfigError(f"model '{self.variant}' is not trained yet\n  do: call .fit(corpus) first")
        return self._trained

    @property
    def history(self) -> pd.DataFrame:
        """One row for each epoch, from 1: losses, the validation metric, seconds; empty for a loaded model."""
        return self._history

    def fit(
        self,
        corpus: Corpus,
        *,
        pattern: str | Pattern = "rmm",
        epochs: int | None = None,
        seed: int = 0,
        target: str | None = None,
        folder: str | Path | None = None,
        budget: int | None = None,
        **training: Any,
    ) -> Model:
        """Train on the training split and keep the weights that are best on validation. The test split is never read.

        Args:
            corpus: with the splits ``train`` and ``valid``.
            pattern: missing pattern of training and of selection.
            epochs: most passes over the training split.
            seed: of initial weights, batch order, masks and dropout.
            target: what to predict; by default the corpus's first target.
            folder: keeps checkpoints and logs in it; the same call resumes there, and a finished run returns at once.
            budget: number of settings to try on validation first (extra ``tune``); the best ones are trained. With a folder the
                trials are kept there, and a larger budget adds to them. See :func:`lacuna.tuning.within_budget`.
            training: further fields of :class:`lacuna.training.TrainingConfig`, e.g. ``learning_rate``.

        Returns:
            The model itself.

        Raises:
            ConfigError: a setting is unknown or out of bounds, or a split is missing.
            TrainingError: training broke off; the message says where.
        """
        _check_corpus(corpus)
        if epochs is not None:
            training["epochs"] = epochs
        utterances = len(corpus.only("train"))
        settings = training_settings(self.name, {"threads": 1}, {"pattern": pattern, **training}, utterances=utterances)
        of_model = model_settings(self.name, self.settings, utterances=utterances)
        chosen = None
        if budget is not None:
            chosen = _chosen(self, corpus, of_model, settings, budget, target, folder)
            of_model, settings = chosen.settings, chosen.training
        recipe = Recipe.of(corpus, self.name, training_config(settings), of_model, seed, target=target)
        place = None if folder is None else run_folder(Path(folder), recipe)
        self._trained, history = fit(recipe, place, variant=self.variant)
        if chosen is not None:
            self._trained = self._trained.after_trials(chosen.trials)
        self._history = history_table(history, self.variant, seed)
        return self

    def score(
        self, corpus: Corpus, *, pattern: str | Pattern = "rmm", rate: float = 0.0, mask_seeds: Sequence[int] = (0, 1, 2)
    ) -> Score:
        """Return the score on the test split under one missing pattern and rate.

        Args:
            corpus: with a test split that the model has not seen.
            pattern: what is removed.
            rate: how much of it, in [0, 1].
            mask_seeds: a mask each; scores are averaged.
        """
        _check_corpus(corpus)
        how: dict[str, Any] = {"rates": (rate,), "mask_seeds": mask_seeds, "recovery_rates": ()}
        evaluation = evaluate_recognizers([self.trained], corpus, [pattern], **how)
        rows = evaluation.summary[evaluation.summary["model"] == self.trained.variant]
        numbers: dict[str, dict[str, Any]] = rows.set_index("metric").to_dict("index")  # type: ignore[assignment]
        chosen = numbers[evaluation.metric]
        return Score(
            metric=evaluation.metric,
            value=chosen["mean"],
            low=chosen["low"],
            high=chosen["high"],
            baseline=chosen["constant"],
            n=chosen["n"],
            level=evaluation.config.level,
            metrics={name: row["mean"] for name, row in numbers.items()},
        )

    def predict(
        self,
        source: Corpus | str | Path,
        *,
        drop: str | Sequence[str] = (),
        anyway: bool = False,
        error: float = 0.1,
        **options: Any,
    ) -> pd.DataFrame:
        """Return the prediction for every utterance, whichever of its modalities are missing.

        Args:
            source: a corpus, or a path as for :func:`load_corpus`; labels are not needed. Recordings get the features that
                the model was trained on.
            drop: modalities to leave out, as if they were not there, e.g. ``"vision"``.
            anyway: whether an utterance of which nothing was observed gets a prediction too.
            error: accepted share of prediction sets without the truth, and of wrong predictions among the sure ones.
            options: of :func:`load_corpus`, if ``source`` is a path; for recordings ``encode``, and ``options`` of
                :func:`lacuna.media.extract`, e.g. ``options={"turns": "energy"}`` to cut them into turns.

        Returns:
            One row for each utterance: ``id``, ``dialogue``, ``turn``; for classes ``predicted``, ``confidence``, ``calibrated``,
            ``sureness``, ``prediction_set`` and a probability ``p_<class>``, for values ``value``, ``low`` and ``high``;
            ``absent``, ``would_help`` (the absent modality that would lower the loss most), ``recovered``,
            ``nothing_observed``. See :func:`lacuna.evaluation.predict_frame`. For recordings also ``start`` and ``end`` in
            seconds of the file, and ``problems``: what is wrong with the clip.

        Raises:
            DataError: the corpus shares no modality with the model, or a modality has another width.
            ConfigError: ``drop`` names an unknown modality, or leaves none.
        """
        if not isinstance(source, Corpus):
            if options.get("importer") in (None, RECORDINGS) and reads_recordings(Path(source)):
                extraction = extract_for(self.trained, Path(source), options.get("encode"), **(options.get("options") or {}))
                return predict_recordings(self.trained, extraction, drop=drop, anyway=anyway, error=error)
            source = load_corpus(source, **{"split": "given", **options})
        return predict_frame(self.trained, without_modalities(source, self.trained, drop), anyway=anyway, error=error)

    def recover(
        self, corpus: Corpus, *, pattern: str | Pattern = "rmm", rate: float = 0.5, seed: int = 0, split: str = "test"
    ) -> Corpus:
        """Remove frames of a split, fill them in again, and return the completed split.

        Args:
            corpus: the truth.
            pattern: what is removed.
            rate: how much of it, in [0, 1]; at 0 only what the corpus itself lacks is filled in.
            seed: of the mask.
            split: ``train``, ``valid`` or ``test``.

        Returns:
            A corpus with the same utterances; see :func:`lacuna.evaluation.recovery.completed.completed`.

        Raises:
            ConfigError: the model does not recover; ``list_models(recovers=True)`` names those that do.
        """
        _check_corpus(corpus)
        return completed(self.trained, corpus.only(split), MaskPlan(pattern, rate, seed) if rate else None)

    def save(self, folder: str | Path) -> Path:
        """Write weights, statistics and settings (safetensors and JSON, no pickle) into a folder, which is returned."""
        return _save(self.trained, Path(folder))

    def export(self, path: str | Path) -> Path:
        """Write the model as a graph that runs without Lacuna, and a JSON file that describes its inputs beside it.

        Args:
            path: of a file that ends in ``.onnx`` (extra ``export``), or in ``.pt2``, which ``torch.export.load`` reads.

        Returns:
            The path.

        Raises:
            ConfigError: another ending, or a model that cannot be exported; see :func:`lacuna.training.export_recognizer`.
        """
        return export_recognizer(self.trained, Path(path))

    def __repr__(self) -> str:
        """The name, the settings that differ from the defaults, and how it was selected."""
        settings = "".join(f", {name}={value!r}" for name, value in self.settings.items())
        if self._trained is None:
            return f"Model('{self.name}'{settings}), not trained"
        chosen = self._trained.selection
        epoch = f"at epoch {chosen.epoch + 1} of {chosen.epochs}, " if chosen.epochs else ""  # none of models that do not learn
        return (
            f"Model('{self.name}'{settings}), trained on {self._trained.corpus} with seed {self._trained.seed}: "
            f"validation {chosen.metric} {chosen.value:.3f}{', ' if not epoch else ' '}{epoch}"
            f"{chosen.parameters:,} parameters" + (f", best of {chosen.trials} trials" if chosen.trials > 1 else "")
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{model_card(self.name)._repr_html_()}"


def list_models(*, task: str | None = None, recovers: bool | None = None, needs_dialogue: bool | None = None) -> list[str]:
    """Return the names of all models, or of those that fit.

    Args:
        task: e.g. ``baseline`` or ``recovery``; ``lacuna.models.model_table()`` shows the task of each model.
        recovers: only models that do (or do not) fill in missing values.
        needs_dialogue: only models that read (or do not read) the other turns of a dialogue.

    Example:
        >>> "context_gru" in list_models(needs_dialogue=True)
        True
    """
    table = model_table()
    for column, wanted in {"task": task, "recovers": recovers, "needs dialogue": needs_dialogue}.items():
        if wanted is not None:
            table = table[table[column] == wanted]
    return table["name"].tolist()


def create_model(name: str, *, variant: str = "", **settings: Any) -> Model:
    """Return an untrained recogniser.

    Args:
        name: as :func:`list_models` gives it.
        variant: what tables call it, if several settings of one model are compared.
        settings: fields of the model's configuration that differ from their defaults; ``model_card(name)`` lists them.

    Raises:
        ConfigError: unknown model or setting, or a value out of bounds; the message names the nearest known one.

    Example:
        >>> create_model("mlp", hidden=32)
        Model('mlp', hidden=32), not trained
    """
    return Model(name, settings, variant)


def load_model(folder: str | Path, *, variant: str | None = None) -> Model:
    """Return a trained model from a folder that :meth:`Model.save`, ``lacuna train`` or ``kedro run`` wrote.

    Args:
        folder: of one recogniser, or of all recognisers of a run; of several, the best on validation is returned.
        variant: of a run, only this one.

    Raises:
        DataError: there is no recogniser, or its files are not what was written.
        ConfigError: the run has no such variant.
    """
    folder = Path(folder)
    for place in (folder, folder / "recognizers"):
        if (place / INDEX).is_file():
            everything = load_recognizers(place)
            candidates = [one for one in everything if variant in (None, one.variant)]
            if not candidates:
                known = ", ".join(dict.fromkeys(one.variant for one in everything))
                raise ConfigError(f"there is no variant '{variant}' in {folder}; there are: {known}\n  do: name one of these")
            return _model_of(max(candidates, key=lambda one: one.selection.value))
    if not (folder / MANIFEST).is_file() and (not folder.exists() or (folder / CHECKPOINTS).is_dir()):
        raise no_run(folder)
    return _model_of(load_recognizer(folder))


def evaluate(
    models: Model | str | Iterable[Model | str],
    corpus: Corpus,
    patterns: Sequence[str | Pattern] = PATTERNS,
    *,
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = (0,),
    mask_seeds: Sequence[int] = (0, 1, 2),
    target: str | None = None,
    recovery_rates: Sequence[float] = (0.5,),
    folder: str | Path | None = None,
    replicates: int = 500,
    past_only: bool = False,
    answers: pd.DataFrame | None = None,
    budget: int | None = None,
    **training: Any,
) -> Evaluation:
    """Compare recognisers on the test split under the same missing data.

    Args:
        models: names or models. A model that is not trained yet is trained first, once a seed, as :meth:`Model.fit` does. The
            majority-class (or mean) baseline stands in every table and needs no name.
        corpus: with the splits ``train``, ``valid`` and ``test``.
        patterns: what goes missing.
        rates: missing rates, increasing, in [0, 1]; by default 0, 0.1, ... 0.7.
        seeds: training seeds of the models that are trained here. One seed says nothing about the spread between trainings.
        mask_seeds: a mask each; scores are averaged.
        target: what to predict; by default the corpus's first target.
        recovery_rates: those of the rates at which recovered values are compared with the true ones; empty = never.
        folder: keeps checkpoints, so that the same call goes on where it was interrupted.
        replicates: of the bootstrap over dialogues and seeds.
        past_only: whether models that read dialogues are given turns 0 to t for their answer at turn t.
        answers: predictions of outside systems, such as language models, to score beside; see
            :func:`lacuna.evaluation.sweep_answers`. The pattern ``fixed`` then keeps those sets of modalities that they answered.
        budget: number of settings that each untrained model may try on validation, the same for all; see :meth:`Model.fit`.
        training: settings of training, e.g. ``epochs=20`` or ``pattern="outage"``.

    Returns:
        Scores by model, pattern and rate, with baselines and intervals, and the tables of the report.

    Raises:
        ConfigError: an unknown name or setting, or a split that is missing.

    Example:
        >>> corpus = load_corpus("duet", preset="tiny")
        >>> table = evaluate(["linear", "prior"], corpus, patterns=["rmm"], rates=[0.0, 0.5], epochs=2)
        >>> sorted(table.scores["model"].unique())
        ['linear', 'oracle', 'oracle (one turn)', 'prior']
    """
    _check_corpus(corpus)
    wanted = [models] if isinstance(models, Model | str) else list(models)
    fitted: list[Model] = []
    with scratch_folder() as scratch:
        place = scratch if budget is not None and folder is None else folder  # all seeds share the trials
        for one in wanted:
            model = create_model(one) if isinstance(one, str) else one
            if model._trained is not None:
                fitted.append(model)
                continue
            for seed in seeds:
                copy = Model(model.name, model.settings, model.variant)
                fitted.append(copy.fit(corpus, seed=seed, target=target, folder=place, budget=budget, **training))
    if not fitted:
        raise ConfigError("there is no model to evaluate\n  do: name at least one model; lacuna.list_models() lists them")
    history = [m.history for m in fitted if len(m.history)]
    return evaluate_recognizers(
        [m.trained for m in fitted],
        corpus,
        patterns,
        rates=rates,
        mask_seeds=mask_seeds,
        recovery_rates=recovery_rates,
        replicates=replicates,
        past_only=past_only,
        answers=answers,
        history=history,
    )


def _chosen(  # noqa: PLR0917
    model: Model,
    corpus: Corpus,
    settings: dict[str, Any],
    training: dict[str, Any],
    budget: int,
    target: str | None,
    folder: str | Path | None,
) -> Chosen:
    """The best settings within a budget; without a folder the trials are forgotten."""
    with naming_extras("a budget"), scratch_folder() as scratch:
        from lacuna.tuning import within_budget  # optuna is an extra, and slow to import

        studies = Path(scratch if folder is None else folder) / "studies"
        return within_budget(model.name, corpus, budget, studies, settings=settings, training=training, target=target)


def _check_corpus(corpus: object) -> None:
    """Refuse what is no corpus, such as a path."""
    if not isinstance(corpus, Corpus):
        what = f"expected a corpus, found {type(corpus).__name__}" + (
            f" {str(corpus)!r}" if isinstance(corpus, str | Path) else ""
        )
        raise ConfigError(f"{what}\n  do: corpus = lacuna.load_corpus(PATH), and pass the corpus")


def _model_of(trained: TrainedRecognizer) -> Model:
    config, defaults = trained.model.config, configure(trained.name)
    settings = {f.name: getattr(config, f.name) for f in fields(config)}
    changed = {name: value for name, value in settings.items() if value != getattr(defaults, name)}
    model = Model(trained.name, changed, trained.variant)
    model._trained = trained
    return model


__all__ = ["Evaluation", "Model", "Score", "create_model", "evaluate", "list_models", "load_corpus", "load_model", "model_card"]
