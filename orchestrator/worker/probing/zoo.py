"""Vision transformers of timm's, with the weights that they can be given here."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from orchestrator.errors import DataError, SpecError
from orchestrator.worker.probing.hub import pretrained
from orchestrator.worker.probing.specimen import Specimen, facts_of
from orchestrator.worker.probing.weights_file import load_weights, read_weights

HUB = "timm's hub"
UNTRAINED = "untrained: timm's initialisation, seed 0"


def timm_specimen(name: str, *, weights: Path | None = None, untrained: bool = False) -> Specimen:
    """One of timm's vision transformers, with the evaluation transform that timm knows for it.

    Its weights are those of timm's hub or its cache, those of a file, or random ones.

    Raises:
        SpecError: timm has no such model, it is no vision transformer, or has no weights.
        WeightsError: its weights cannot be had here.
        DataError: the file cannot be read, or holds another architecture.
    """
    import timm.data  # noqa: PLC0415 - it loads torchvision, which takes seconds

    if weights:
        state = read_weights(weights)
        model: Any = _created(name, **_sizes(state))
        converted = _converted(state, model)
        _refuse_resized(state, converted, model, weights)
        load_weights(model, converted, weights)
    else:
        model = _created(name) if untrained else _pretrained(name)
    source = str(weights) if weights else UNTRAINED if untrained else HUB
    data: Any = timm.data
    config: dict[str, Any] = data.resolve_model_data_config(model)
    facts = {
        "architecture": {
            "timm": name,
            **{key: list(v) if isinstance(v, tuple) else v for key, v in config.items()},
            "dim": model.embed_dim,
            "depth": len(model.blocks),
            "registers": model.num_reg_tokens,
        },
        **facts_of(model, source),
    }
    transform = data.create_transform(**config, is_training=False)
    mean, std = (torch.tensor(config[key]) for key in ("mean", "std"))
    return Specimen(model=model.eval(), view=transform, mean=mean, std=std, facts=facts)


def _created(name: str, **sizes: Any) -> VisionTransformer:
    """A model of timm's with random weights, the same ones every time.

    Raises:
        SpecError: there is none of this name, or it is no vision transformer.
    """
    import timm  # noqa: PLC0415 - its zoo takes seconds

    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            model = timm.create_model(name, **sizes)
        except RuntimeError as error:
            like = get_close_matches(name, timm.list_models(), n=4)
            raise SpecError(
                f"timm has no model '{name}' ({error}); names that look alike: "
                f"{', '.join(like) or 'none'}. All of them: timm.list_models()"
            ) from None
    if not isinstance(model, VisionTransformer):
        raise SpecError(
            f"timm's '{name}' is a {type(model).__name__}; the probes look into its "
            "VisionTransformer (vit_*, deit_*, deit3_*)."
        )
    return model


def _pretrained(name: str) -> Any:
    model: Any = _created(name)  # says first what is wrong with the name
    return pretrained(name, model.pretrained_cfg)


def _sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
    """What a file's own tensors say of classes and registers, where timm's default is another."""
    sizes = {}
    if "head.weight" in state:
        sizes["num_classes"] = len(state["head.weight"])
    if "reg_token" in state:
        sizes["reg_tokens"] = state["reg_token"].shape[1]
    return sizes


def _converted(state: Mapping[str, Tensor], model: VisionTransformer) -> Mapping[str, Tensor]:
    """The names that the authors gave as timm gives them, DeiT III's LayerScale among them."""
    from timm.models.vision_transformer import checkpoint_filter_fn  # noqa: PLC0415 - as above

    deit3 = any("gamma_1" in key for key in state)
    converted: Mapping[str, Tensor] = checkpoint_filter_fn(
        dict(state), model, adapt_layer_scale=deit3
    )
    return converted


RESIZABLE = {
    "pos_embed": (("pos_embed", "positional_embedding", "embed_positions.A.weight"), "rows", -2),
    "patch_embed.proj.weight": (("proj.weight", "conv1.weight"), "pixels along a side", -1),
}
"""What timm resizes to fit: how names of it end in files, what is counted, along which axis."""


def _refuse_resized(
    state: Mapping[str, Tensor],
    converted: Mapping[str, Tensor],
    model: VisionTransformer,
    file: Path,
) -> None:
    """Refuse a file of which timm made up position embeddings or patch kernels to fit the model.

    Raises:
        DataError: it did; a tensor that it only renamed or reshaped lies where the file's does.
    """
    read = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
    own = model.state_dict()
    for name, (endings, unit, axis) in RESIZABLE.items():
        made = name in converted and converted[name].untyped_storage().data_ptr() not in read
        if made:
            there = next((t for key, t in state.items() if key.endswith(endings)), None)
            rows = "another number of" if there is None else there.shape[axis]
            raise DataError(
                f"The weights {file} are of another size: {name} has {rows} {unit} there, "
                f"{own[name].shape[axis]} needed here. They are not resized, as that makes another "
                "model; name the one of timm's that they were trained as."
            )
