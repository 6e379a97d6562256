"""Encoder weights from elsewhere: fetched only when allowed, proven by their hash, fitted to the channels."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_ganseg.errors import FileError, ModelError, UsageError
from napari_ganseg.networks import Arch, build_generator, fill_encoder, pretrained, weights_of

ARCH = Arch("ResNet18", (4, 4, 4, 4, 4, 512), ((2, 2),) * 5)


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    """What torchvision would publish, of random numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return dict(torchvision.models.resnet18(weights=None).state_dict())


@pytest.fixture(scope="module")
def published(theirs: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of it, without the counters, as torchvision's have none."""
    path = tmp_path_factory.mktemp("web") / "resnet18-0.pth"
    torch.save({name: t for name, t in theirs.items() if not name.endswith("num_batches_tracked")}, path)
    return path


@pytest.fixture
def web(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A web of one file and an empty cache, whose folder is returned."""
    sha256 = hashlib.sha256(published.read_bytes()).hexdigest()
    entry = pretrained.Published(published.as_uri(), published.stat().st_size, sha256)
    monkeypatch.setattr(pretrained, "PUBLISHED", {"ResNet18": entry})
    monkeypatch.setattr(pretrained, "user_weights", lambda: tmp_path / "cache" / "weights")
    return tmp_path / "cache"


def network(channels: int = 3) -> nn.Module:
    return build_generator(ARCH, dims=2, in_channels=channels, out_channels=2)


def encoder(net: nn.Module) -> dict[str, Tensor]:
    return {n.removeprefix("encoder."): t for n, t in weights_of(net).items() if n.startswith("encoder.")}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_encoder_takes_every_weight_and_the_decoder_none(published: Path, theirs: dict[str, Tensor]) -> None:
    net = network()
    before = {name: t.clone() for name, t in weights_of(net).items()}
    fill_encoder(net, published)
    assert all(torch.equal(t, theirs[name]) for name, t in encoder(net).items())
    assert all(torch.equal(t, before[n]) for n, t in weights_of(net).items() if not n.startswith("encoder."))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_grey_picture_is_seen_alike_through_any_number_of_channels(
    published: Path, theirs: dict[str, Tensor], channels: int
) -> None:
    net, grey = network(channels), torch.rand(1, 1, 32, 32)
    fill_encoder(net, published)
    ours = nn.functional.conv2d(grey.expand(-1, channels, -1, -1), encoder(net)["conv1.weight"])
    assert torch.allclose(ours, nn.functional.conv2d(grey.expand(-1, 3, -1, -1), theirs["conv1.weight"]), atol=1e-4)


def test_a_safetensors_file_fits_too(tmp_path: Path, theirs: dict[str, Tensor]) -> None:
    save_file(theirs, tmp_path / "a.safetensors")
    net = network(1)
    fill_encoder(net, str(tmp_path / "a.safetensors"))
    assert torch.equal(encoder(net)["layer4.1.bn2.weight"], theirs["layer4.1.bn2.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bn1.weight": torch.ones(65)}, r"bn1\.weight is torch\.float32 \[65\], but the encoder has .* \[64\]"),
        ({"bn1.weight": torch.ones(64).half()}, r"bn1\.weight is torch\.float16"),
        ({"conv1.weight": torch.ones(64, 5, 7, 7)}, r"conv1\.weight is .* \[64, 5, 7, 7\]"),
        ({"layer5.weight": torch.ones(1)}, r"Cannot use a\.pt: it does not fit .* \(layer5\.weight is unknown\)"),
        ({"bn1.bias": None}, r"\(bn1\.bias is missing\)"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(
    theirs: dict[str, Tensor], change: dict[str, Tensor | None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name: t for name, t in (theirs | change).items() if t is not None}
    monkeypatch.setattr(pretrained, "read_state_dict", lambda _: given)
    net = network()
    before = {name: t.clone() for name, t in weights_of(net).items()}
    with pytest.raises(ModelError, match=message):
        fill_encoder(net, "a.pt")
    assert all(torch.equal(t, before[name]) for name, t in weights_of(net).items())


def test_another_network_is_refused(published: Path) -> None:
    unet = build_generator(Arch("UNet", (4, 8), ((2, 2),)), dims=2, in_channels=1, out_channels=2)
    with pytest.raises(UsageError, match="Only ResNet18 and ResNet34 take encoder weights, not UNet"):
        fill_encoder(unet, published)


def test_nothing_is_fetched_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "urlopen", lambda *_, **__: pytest.fail("the web was asked"))
    monkeypatch.setattr(pretrained, "user_weights", lambda: tmp_path)
    message = r"ResNet18 .* 46\.8 MB would be downloaded from download\.pytorch\.org .* Allow it with --allow-download"
    with pytest.raises(UsageError, match=message):
        fill_encoder(network(), "imagenet", may_download=False)


def test_what_was_fetched_once_is_kept(web: Path, theirs: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    fill_encoder(network(), "imagenet", may_download=True)
    monkeypatch.setattr(pretrained, "urlopen", lambda *_, **__: pytest.fail("the web was asked again"))
    net = network()
    fill_encoder(net, "imagenet")
    assert [path.name for path in files(web)] == ["resnet18-0.pth"]
    assert torch.equal(encoder(net)["conv1.weight"], theirs["conv1.weight"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_folder_of_downloads_is_the_users_own(web: Path) -> None:
    fill_encoder(network(), "imagenet", may_download=True)
    assert (web / "weights").stat().st_mode & 0o777 == 0o700


def test_a_damaged_download_is_fetched_again(web: Path) -> None:
    (web / "weights").mkdir(parents=True)
    (web / "weights" / "resnet18-0.pth").write_bytes(b"cut")
    with pytest.raises(UsageError, match="would be downloaded"):
        fill_encoder(network(), "imagenet")
    fill_encoder(network(), "imagenet", may_download=True)


@pytest.mark.parametrize("size", [10, None])
def test_a_file_that_is_not_the_published_one_leaves_no_trace(
    web: Path, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    entry = pretrained.PUBLISHED["ResNet18"]
    other = pretrained.Published(entry.url, size or entry.size, entry.sha256 if size else "0" * 64)
    monkeypatch.setattr(pretrained, "PUBLISHED", {"ResNet18": other})
    with pytest.raises(ModelError, match=r"checksum differs.*nothing was kept"):
        fill_encoder(network(), "imagenet", may_download=True)
    assert files(web) == []


def test_a_web_that_does_not_answer_is_said(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = pretrained.Published((web / "gone.pth").as_uri(), 10, "0" * 64)
    monkeypatch.setattr(pretrained, "PUBLISHED", {"ResNet18": nowhere})
    with pytest.raises(ModelError, match=r"Cannot download .*gone\.pth: .*Try again"):
        fill_encoder(network(), "imagenet", may_download=True)


def test_a_cache_that_cannot_be_made_is_said(web: Path) -> None:
    web.write_bytes(b"a file where the folder should be")
    with pytest.raises(FileError, match="Cannot make the folder weights"):
        fill_encoder(network(), "imagenet", may_download=True)


@pytest.mark.parametrize("name", ["ResNet18", "ResNet34"])
def test_the_pins_are_torchvisions_own_files(name: str) -> None:
    entry, theirs = pretrained.PUBLISHED[name], getattr(torchvision.models, f"{name}_Weights").IMAGENET1K_V1
    assert entry.url == theirs.url
    assert entry.name == f"{name.lower()}-{entry.sha256[:8]}.pth"
    assert round(entry.size / 2**20, 3) == theirs.meta["_file_size"]


def test_networks_are_listed_without_torch() -> None:
    code = "import sys, napari_ganseg.networks; print({'torch', 'torchvision', 'monai', 'napari'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
