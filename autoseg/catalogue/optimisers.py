"""The optimisers a plan may name."""

from dataclasses import dataclass
from typing import Final

from autoseg.catalogue.table import Entry, Table


@dataclass(frozen=True)
class OptimiserEntry(Entry):
    """What is known about an optimiser.

    Attributes:
        implementation: a `torch.optim.Optimizer`, "module:name".
        phrase: how the methods paragraph names it.
        decays: whether the plan's `weight_decay` concerns it.
        learning_rate: that a plan takes for it where it is asked for in the place of a recipe's own.
        references: the works that the phrase cites, in full.
    """

    phrase: str
    decays: bool
    learning_rate: float
    references: tuple[str, ...] = ()


_KINGMA: Final = "Kingma DP, Ba J (2015). Adam: A Method for Stochastic Optimization. ICLR."
_LOSHCHILOV: Final = "Loshchilov I, Hutter F (2019). Decoupled Weight Decay Regularization. ICLR."
_JORDAN: Final = (
    "Jordan K, Jin Y, Boza V, You J, Cesista F, Newhouse L, Bernstein J (2024). Muon: An optimizer for hidden layers in "
    "neural networks. https://kellerjordan.github.io/posts/muon/"
)
_LIU: Final = "Liu J, Su J, Yao X, et al. (2025). Muon is Scalable for LLM Training. arXiv:2502.16982."

OPTIMISERS: Final[Table[OptimiserEntry]] = Table(
    "optimiser",
    OptimiserEntry,
    {
        "adam": OptimiserEntry(
            "torch.optim:Adam", "Adam (Kingma and Ba 2015)", decays=False, learning_rate=1e-3, references=(_KINGMA,)
        ),
        "adamw": OptimiserEntry(
            "torch.optim:AdamW",
            "AdamW (Loshchilov and Hutter 2019)",
            decays=True,
            learning_rate=1e-3,
            references=(_LOSHCHILOV,),
        ),
        "muon": OptimiserEntry(
            "autoseg.training.muon:Muon",
            "Muon (Jordan et al. 2024, in steps of the size of Liu et al. 2025) for weights that form matrices and AdamW "
            "(Loshchilov and Hutter 2019) for all others",
            decays=True,
            learning_rate=4e-3,
            references=(_JORDAN, _LIU, _LOSHCHILOV),
        ),
    },
    predicts=False,
)
