"""Networks of the hub, on tiny weights that the tests make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lacuna.corpus.schema import Modality
from lacuna.errors import ConfigError
from lacuna.media import Audio, Video
from lacuna.media.encoders import AudioEncoder, TextEncoder, VideoEncoder, create_encoder
from lacuna.media.encoders.base import setting_of
from lacuna.models.wrappers.layer_weights import n_layers
from media_recordings import RATE, glide

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {
    "conv_dim": (8, 8, 8),
    "conv_stride": (10, 8, 4),
    "conv_kernel": (16, 8, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def seeded(network: type, config: object) -> object:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return network(config)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text, two speech and two picture networks with random weights, one with a space in its path."""
    root = tmp_path_factory.mktemp("networks")
    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "happy", "sad"])}
    bert = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=32, **SMALL)
    seeded(transformers.BertModel, bert).save_pretrained(root / "text net")
    (root / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(vocab=words).save_pretrained(root / "text net")
    hubert = transformers.HubertConfig(**SMALL, **CONVOLUTIONS)
    seeded(transformers.HubertModel, hubert).save_pretrained(root / "hubert")
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=RATE).save_pretrained(root / "hubert")
    whisper = transformers.WhisperConfig(
        d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, vocab_size=64,
        encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    seeded(transformers.WhisperModel, whisper).save_pretrained(root / "whisper")
    transformers.WhisperFeatureExtractor().save_pretrained(root / "whisper")
    vit = transformers.ViTConfig(image_size=32, patch_size=16, **SMALL)
    seeded(transformers.ViTModel, vit).save_pretrained(root / "vit")
    clip = transformers.CLIPConfig(
        text_config={"vocab_size": 32, **SMALL}, vision_config={"image_size": 32, "patch_size": 16, **SMALL}, projection_dim=8
    )
    seeded(transformers.CLIPModel, clip).save_pretrained(root / "clip")
    means = {"crop_size": {"height": 32, "width": 32}, "image_mean": [0.4] * 3, "image_std": [0.3] * 3}
    (root / "clip" / "preprocessor_config.json").write_text(json.dumps(means))
    return root


@pytest.mark.parametrize(("layers", "width"), [("last", 16), ("mean", 16), ([1, -1], 32)])
def test_a_text_network_gives_its_layers(networks: Path, layers: object, width: int) -> None:
    encoder = create_encoder("text", "hub-text", {"model": str(networks / "text net"), "layers": layers})
    assert n_layers(Modality("text", width, encoder.describe())) == width // 16  # what a model with `layer_weights` reads
    assert isinstance(encoder, TextEncoder)
    encoded = encoder.encode("happy sad happy")
    assert encoded.values is not None
    assert encoded.values.shape == (5, width)
    again = encoder.encode("happy sad happy").values
    assert again is not None
    np.testing.assert_array_equal(again, encoded.values)


def test_long_texts_are_cut_and_said(networks: Path) -> None:
    encoder = create_encoder("text", "hub-text", {"model": str(networks / "text net"), "pool": "mean"})
    assert isinstance(encoder, TextEncoder)
    encoded = encoder.encode("happy " * 100)
    assert encoded.values is not None
    assert encoded.values.shape == (1, 16)
    assert [p.reason for p in encoded.problems] == ["102 tokens; the first 32 were read"]


@pytest.mark.parametrize("name", ["hubert", "whisper"])
def test_a_speech_network_gives_frames_on_the_clock(networks: Path, name: str) -> None:
    encoder = create_encoder("audio", "hub-audio", {"model": str(networks / name), "rate": 5})
    assert isinstance(encoder, AudioEncoder)
    samples = glide(2)
    encoded = encoder.encode(Audio(samples, np.arange(len(samples)) < RATE))
    assert encoded.values is not None
    assert encoded.observed is not None
    assert encoded.values.shape == (10, 16)
    assert encoded.observed.tolist() == [True] * 5 + [False] * 5
    assert not encoded.values[5:].any()
    assert encoded.values[:5].std(axis=0).max() > 0
    short = encoder.encode(Audio(samples[:40], np.ones(40, np.bool_)))
    assert short.values is not None
    assert short.values.shape == (1, 16)


@pytest.mark.parametrize("name", ["vit", "clip"])
def test_a_picture_network_gives_a_vector_a_picture(
    networks: Path, name: str, good: dict[str, bytes], write: Callable[[str, bytes], Path]
) -> None:
    encoder = create_encoder("vision", "hub-vision", {"model": str(networks / name)})
    assert isinstance(encoder, VideoEncoder)
    encoded = encoder.encode(Video(write("a.mp4", good["mp4"]), rate=encoder.rate))
    assert encoded.values is not None
    assert encoded.values.shape == (4, 16)
    assert encoded.values.std(axis=0).max() > 0  # the picture becomes brighter


def test_the_description_has_the_weights_and_gives_the_settings_back(networks: Path, tmp_path: Path) -> None:
    settings = {"model": str(networks / "text net"), "layers": (1, 2)}
    encoder = create_encoder("text", "hub-text", settings)
    setting = setting_of(encoder.describe())
    assert setting is not None
    assert create_encoder("text", setting.pop("name"), setting) == encoder
    other = tmp_path / "other"
    config = transformers.BertConfig.from_pretrained(networks / "text net")
    transformers.BertModel(config).save_pretrained(other)
    changed = create_encoder("text", "hub-text", {"model": str(other)})
    assert changed.describe().rpartition("weights:")[2] != encoder.describe().rpartition("weights:")[2]


def test_a_network_that_is_not_here_is_never_fetched() -> None:
    encoder = create_encoder("text", "hub-text", {"model": "nobody/no-such-network"})
    with pytest.raises(ConfigError, match=r"cannot be read from this machine(.|\n)*do: hf download nobody/no-such-network"):
        encoder.prepare()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs the name of a network"),
        ({"model": "a", "layers": "first"}, "'last', 'mean' or a list"),
        ({"model": "a", "pool": "max"}, "pool is"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_encoder("text", "hub-text", settings)


def test_a_layer_that_is_not_there_is_refused(networks: Path) -> None:
    encoder = create_encoder("text", "hub-text", {"model": str(networks / "text net"), "layers": [9]})
    assert isinstance(encoder, TextEncoder)
    with pytest.raises(ConfigError, match="has the layers 0 to 3; found layer 9"):
        encoder.encode("happy")
