"""The right variants: every legitimate algorithm under tests/algorithms, and the library's and bnverify's own layers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from bnverify.adapters import subject_of
from bnverify.probing import probe
from bnverify.subject import Subject

FOLDER = Path(__file__).parent.parent / "algorithms"
ALGORITHMS: Mapping[str, str] = {
    "two-pass": "summation.py:TwoPass",
    "pairwise sums": "summation.py:Pairwise",
    "sums one by one": "summation.py:OneByOne",
    "Kahan's sums": "summation.py:Kahan",
    "exact sums": "summation.py:ExactSums",
    "sums by matrix product": "summation.py:MatrixProduct",
    "wider precision inside": "summation.py:Wider",
    "times 1/m": "summation.py:ReciprocalCount",
    "corrected two-pass": "summation.py:CorrectedTwoPass",
    "Welford": "updating.py:Welford",
    "Chan, blocks of 3": "updating.py:BlocksOf3",
    "Chan, blocks of 4": "updating.py:BlocksOf4",
    "Chan, blocks of 32": "updating.py:BlocksOf32",
    "Chan, tree": "updating.py:Tree",
    "folded scale and shift": "normalizing.py:Folded",
    "inference folded": "normalizing.py:FoldedInference",
    "division by the root": "normalizing.py:DividedByRoot",
    "scale first": "normalizing.py:ScaledFirst",
    "root as a norm": "normalizing.py:EuclideanNorm",
    "backward in stages": "differentiating.py:Staged",
    "backward in stages without the term that is 0": "differentiating.py:StagedWithoutZeroTerm",
    "backward, m inside": "differentiating.py:CountInside",
    "backward, dy centred": "differentiating.py:CentredGradient",
    "torch.var_mean": "torch_calls.py:VarMean",
    "torch.native_batch_norm": "torch_calls.py:Native",
    "F.layer_norm": "functional.py:by_layer_norm",
    "F.group_norm": "functional.py:by_group_norm",
    "F.instance_norm": "functional.py:by_instance_norm",
    "torch.func.vmap": "functional.py:by_vmap",
    "folded, in half throughout": "half_throughout.py:FoldedInHalf",
    "in stages, in half throughout": "half_throughout.py:StagedInHalf",
    "once differentiable": "layers.py:OnceDifferentiableLayer",
    "buffers reassigned": "layers.py:ReassigningLayer",
    "correction by sizes": "doubted.py:CorrectionBySizes",
    "refuses eps = 0": "doubted.py:RefusesZeroEps",
    "textbook": "textbook.py:batch_norm",
    "textbook in float32": "textbook.py:batch_norm_in_float32",
}
"""Targets by their names in reports, as files of the folder."""
COMPILED: Mapping[str, str] = {"torch.compile": "compiled.py:CompiledLayer"}
"""The same, for those that take seconds to begin with."""
LIBRARY: Mapping[str, str] = {
    "nn.BatchNorm1d": "torch.nn:BatchNorm1d",
    "nn.BatchNorm2d": "torch.nn:BatchNorm2d",
    "nn.BatchNorm3d": "torch.nn:BatchNorm3d",
    "F.batch_norm": "torch.nn.functional:batch_norm",
    "generated NumPy": "bnverify.adapters.generated:GeneratedNumpy",
    "generated Torch": "bnverify.adapters.generated:GeneratedTorch",
}
LAYERS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
OWN: Mapping[str, str] = {f"bnverify {name}": f"bnverify.torch:{name}" for name in LAYERS}
"""Layers of bnverify, where this version has them."""
VARIANTS: Mapping[str, str] = {
    **{name: f"{FOLDER}/{place}" for name, place in (ALGORITHMS | COMPILED).items()},
    **LIBRARY,
    **(OWN if find_spec("bnverify.torch") else {}),
}
SIMILAR = (
    "sums one by one",
    "exact sums",
    "sums by matrix product",
    "times 1/m",
    "Chan, blocks of 3",
    "Chan, blocks of 32",
    "scale first",
    "backward, m inside",
    "backward, dy centred",
    "torch.native_batch_norm",
    "F.group_norm",
    "F.instance_norm",
    "torch.func.vmap",
    "folded, in half throughout",
    "once differentiable",
    "textbook in float32",
    "nn.BatchNorm1d",
    "nn.BatchNorm3d",
    "bnverify BatchNorm1d",
    "bnverify BatchNorm3d",
)
"""Variants that are much like another one."""
GRADED: Mapping[str, str] = {n: place for n, place in VARIANTS.items() if n not in SIMILAR and n not in COMPILED}
"""What ``bnverify grade --self`` takes in a clone, so that it ends within minutes; VARIANTS are all."""
PLAIN = ("F.batch_norm", "nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d")
"""Variants whose x and dy are contiguous, since the CPU kernel of PyTorch 2.13 is wrong for others: dx where one of x and dy
is a transposed (1, C, H, 1) and the other not, and dbeta, rounded to bfloat16 beside float32 parameters. Both are shown in
test_campaign.py."""


@cache
def subject(variant: str) -> Subject:
    """Return the subject of a variant, with the precisions and ranks that it was found to offer.

    Of a compiled one it is believed what it declares: to probe it is to compile it for every precision and derivative.
    """
    found = subject_of(VARIANTS[variant])
    return found if variant in COMPILED else probe(found)
