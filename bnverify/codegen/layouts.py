"""How the indices of a program lie in whole arrays: one channel axis anywhere, or an axis for each index in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bnverify.symbolic.program import Indices, Program, Statement


class Layout(Protocol):
    """What a printed function says of its arrays; a function is given by its program, parameters and results."""

    @property
    def helper(self) -> str:
        """The function of ``bnverify.layout`` that it calls, or nothing."""
        ...

    def keywords(self, program: Program, parameters: Sequence[str]) -> list[str]:
        """Return the parameters by keyword that tell where the axes are."""
        ...

    def given(self, program: Program, parameters: Sequence[str]) -> list[str]:
        """Return the sentences of a docstring that tell the parameters' shapes."""
        ...

    def returned(self, program: Program, returns: Sequence[str]) -> list[str]:
        """Return what the docstring says of each result's shape."""
        ...

    def arrays(self, program: Program, parameters: Sequence[str]) -> list[str]:
        """Return the parameters that are arrays, those with data first."""
        ...

    def sizes(self, program: Program, parameters: Sequence[str], likes: Sequence[str]) -> list[str]:
        """Return the lines that read the sizes off the arrays' shapes."""
        ...

    def brought(self, program: Program, parameters: Sequence[str]) -> list[str]:
        """Return the lines that bring every array to a shape that broadcasts."""
        ...

    def axes(self, over: Indices) -> str:
        """Return the axes that a sum over these indices goes over."""
        ...

    def contraction(self, program: Program, factors: Sequence[Indices], left: Indices) -> tuple[str, str]:
        """Return an einsum's subscripts for factors with these indices, and the shape that its result is brought to.

        Raises:
            NotImplementedError: no program of this layout has one.
        """
        ...

    def counted(self, program: Program) -> str:
        """Return the indices that a sum over needs a pass of its own for."""
        ...

    def comment(self, program: Program, group: Sequence[Statement], number: int) -> str:
        """Return what a pass is for."""
        ...

    def shown(self, program: Program, name: str, like: str | None) -> str:
        """Return a result in its shape; ``like`` is the parameter whose type it has."""
        ...

    def whole(self, program: Program, name: str) -> str:
        """Return the shape of a result that is nothing but zeros.

        Raises:
            NotImplementedError: no program of this layout has one.
        """
        ...


def rank(program: Program, name: str) -> int:
    """Return how many indices a symbol or a size of this name has."""
    if name in {s.name for s in program.sizes.values()}:
        return 0
    return len(program.axes[program.symbol(name)])


def uses_sizes(program: Program) -> bool:
    """Return whether any statement uses the size of an index."""
    return any(s in program.sizes.values() for st in program.body for s in st.expr.free_symbols)


def sums_of(group: Sequence[Statement]) -> str:
    """Return what a pass sums, or that it writes."""
    sums = [st.name.name for st in group if st.over]
    return f": sums {', '.join(sums)}" if sums else ": writes"


@dataclass(frozen=True)
class Channels:
    """x: (N, C, *S) with its channels at any axis; what belongs to a channel is (C,)."""

    helper: str = "channel_layout"

    def _of_rank(self, program: Program, names: Sequence[str], wanted: int) -> list[str]:
        return [n for n in names if rank(program, n) == wanted]

    def keywords(self, program: Program, parameters: Sequence[str]) -> list[str]:
        return ["*", "channel_axis: int = 1"] if self._of_rank(program, parameters, 2) else []

    def given(self, program: Program, parameters: Sequence[str]) -> list[str]:
        data, channel = (self._of_rank(program, parameters, k) for k in (2, 1))
        sentences = [f"{', '.join(data)}: (N, C, *S), with the channels at channel_axis."] if data else []
        return sentences + ([f"{', '.join(channel)}: (C,)."] if channel else [])

    def returned(self, program: Program, returns: Sequence[str]) -> list[str]:
        wide, narrow = (self._of_rank(program, returns, k) for k in (2, 1))
        return [f"{', '.join(names)}: {shape}" for names, shape in ((wide, "as x"), (narrow, "(C,)")) if names]

    def arrays(self, program: Program, parameters: Sequence[str]) -> list[str]:
        return [*self._of_rank(program, parameters, 2), *self._of_rank(program, parameters, 1)]

    def sizes(self, program: Program, parameters: Sequence[str], likes: Sequence[str]) -> list[str]:
        data = self._of_rank(program, parameters, 2)
        if not data:
            return []
        sums = any(st.over for st in program.body)
        has_channels = bool(self._of_rank(program, parameters, 1))
        wanted = ("axes" if sums else "_", "shape" if has_channels else "_", "m" if uses_sizes(program) else "_")
        return [f"{', '.join(wanted)} = channel_layout({'x' if 'x' in data else data[0]}.shape, channel_axis)"]

    def brought(self, program: Program, parameters: Sequence[str]) -> list[str]:
        if not self._of_rank(program, parameters, 2):
            return []
        return [f"{name} = {name}.reshape(shape)" for name in self._of_rank(program, parameters, 1)]

    def axes(self, over: Indices) -> str:
        return "axes"

    def contraction(self, program: Program, factors: Sequence[Indices], left: Indices) -> tuple[str, str]:
        raise NotImplementedError(f"{program.name} holds a product of arrays of different channels")

    def counted(self, program: Program) -> str:
        return "i"

    def comment(self, program: Program, group: Sequence[Statement], number: int) -> str:
        data = {s for st in group for s in st.expr.free_symbols if len(program.axes.get(s, ())) == 2}
        if not data:
            return "a channel at a time"
        reads = sorted(s.name for s in data & set(program.inputs) or data)
        return f"pass {number} over {', '.join(reads)}{sums_of(group)}"

    def shown(self, program: Program, name: str, like: str | None) -> str:
        has_data = any(len(program.axes[s]) == 2 for s in program.inputs)
        return f"{name}.reshape(-1)" if has_data and rank(program, name) == 1 else name

    def whole(self, program: Program, name: str) -> str:
        return "shape" if len(program.axes[program.symbol(name)]) == 1 else "x.shape"


@dataclass(frozen=True)
class Letters:
    """An axis for each index in a fixed order; the caller's arrays are brought to it by ``reshape``.

    ``read`` is the line's right-hand side that gives the sizes of ``order``; ``words`` says the caller's shape of what
    has these indices.
    """

    order: str
    read: str
    words: Mapping[str, str]
    helper: str = ""
    keyword: str = ""

    def _size(self, program: Program, letters: Indices) -> str:
        return ", ".join(str(program.sizes[x]) if x in letters else "1" for x in self.order)

    def _caller(self, program: Program, name: str) -> str:
        letters = "".join(x for x in self.order if x in program.axes[program.symbol(name)])
        sizes = [str(program.sizes[x]) for x in letters]
        return self.words.get(letters, f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})")

    def _grouped(self, program: Program, names: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(self._caller(program, name), []).append(name)
        return found

    def keywords(self, program: Program, parameters: Sequence[str]) -> list[str]:
        return ["*", self.keyword] if self.keyword else []

    def given(self, program: Program, parameters: Sequence[str]) -> list[str]:
        shapes = self._grouped(program, self.arrays(program, parameters))
        return [f"{', '.join(names)}: {shape}." for shape, names in shapes.items()]

    def returned(self, program: Program, returns: Sequence[str]) -> list[str]:
        return [f"{', '.join(names)}: {shape}" for shape, names in self._grouped(program, returns).items()]

    def arrays(self, program: Program, parameters: Sequence[str]) -> list[str]:
        return [p for p in parameters if rank(program, p)]

    def sizes(self, program: Program, parameters: Sequence[str], likes: Sequence[str]) -> list[str]:
        names = ", ".join(str(program.sizes[x]) for x in self.order)
        shapes = f"{', '.join(f'{n}_shape' for n in likes)} = {', '.join(f'{n}.shape' for n in likes)}"
        return [f"{names} = {self.read}", *([shapes] if likes else [])]

    def brought(self, program: Program, parameters: Sequence[str]) -> list[str]:
        return [
            f"{name} = {name}.reshape({self._size(program, program.axes[program.symbol(name)])})"
            for name in self.arrays(program, parameters)
        ]

    def axes(self, over: Indices) -> str:
        places = [str(self.order.index(x)) for x in sorted(over, key=self.order.index)]
        return places[0] if len(places) == 1 else f"({', '.join(places)})"

    def contraction(self, program: Program, factors: Sequence[Indices], left: Indices) -> tuple[str, str]:
        """Every operand has all axes, those of length 1 too, so that the same letters stand for each."""
        result = "".join(x for x in self.order if x in left)
        return f"{','.join(self.order for _ in factors)}->{result}", self._size(program, left)

    def counted(self, program: Program) -> str:
        return self.order

    def comment(self, program: Program, group: Sequence[Statement], number: int) -> str:
        return f"pass {number}{sums_of(group)}"

    def shown(self, program: Program, name: str, like: str | None) -> str:
        letters = program.axes[program.symbol(name)]
        if like and program.axes[program.symbol(like)] == letters:
            return f"{name}.reshape({like}_shape)"
        return f"{name}.reshape({', '.join(str(program.sizes[x]) for x in self.order if x in letters)})"

    def whole(self, program: Program, name: str) -> str:
        return f"({self._size(program, program.axes[program.symbol(name)])})"


CHANNELS = Channels()
ROWS = Letters("ic", "row_layout(x.shape)", {"ic": "(..., C)", "i": "(m,), a value a row"}, "row_layout")
GROUPS = Letters(
    "igdp",
    "group_layout(x.shape, groups)",
    {"igdp": "(N, C, *S) with C = G D", "gd": "(C,)", "ig": "(N, G)"},
    "group_layout",
    "groups: int",
)
INSTANCES = Letters("icp", "instance_layout(x.shape)", {"icp": "(N, C, *S)", "ic": "(N, C)"}, "instance_layout")
STEPS = Letters("itc", "x.shape", {"itc": "(N, T, C), a step at each T"})
ROWS_OF_V = Letters("ick", "weight_layout(h.shape, v.shape)", {}, "weight_layout")
WEIGHTS = Letters("ck", "v.shape", {})
ROWS_OF_W = Letters("ick", "weight_layout(h.shape, w.shape)", {}, "weight_layout")
